"""A frame's bytes: what is packed is read back, what is changed or hostile is refused before memory is taken.

Where frames lie in files is tested in `test_torn_and_rotten`.
"""

from __future__ import annotations

import random
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from perdure.store.format import frame as fr

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = fr.seed(b"an id of a store")


def pack(body: bytes, **changes: int) -> bytes:
    numbers = {"count": 3, "first_seq": 7, "epoch": 2, "unsynced": 1, **changes}
    return fr.pack(body=body, prev=b"p" * 16, crc_seed=SEED, **numbers)[0]


def unpack(frame: bytes, crc_seed: int = SEED) -> tuple[fr.Header, bytes]:
    header = fr.parse(frame[: fr.HEADER_BYTES])
    stored = frame[fr.HEADER_BYTES :]
    fr.check(header, frame[: fr.HEADER_BYTES], stored, crc_seed)
    return header, fr.decompress(header, stored)


@given(
    body=st.binary(max_size=2_000) | st.builds(lambda part, n: part * n, st.binary(max_size=50), st.integers(0, 500)),
    count=st.integers(0, fr.COUNT_MAX),
    first_seq=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
    unsynced=st.integers(0, 2**32 - 1),
    prev=st.binary(min_size=16, max_size=16),
)
def test_what_is_packed_is_read_back(body: bytes, count: int, first_seq: int, epoch: int, unsynced: int, prev: bytes) -> None:
    frame, chain = fr.pack(body=body, count=count, first_seq=first_seq, epoch=epoch, unsynced=unsynced, prev=prev, crc_seed=SEED)
    header, read = unpack(frame)
    assert read == body
    assert (header.count, header.first_seq, header.epoch, header.unsynced) == (count, first_seq, epoch, unsynced)
    assert (header.prev, header.raw_len) == (prev, len(body))
    assert chain == fr.chain_after(frame)
    assert len(frame) <= fr.HEADER_BYTES + len(body)


@pytest.mark.parametrize("body", [b"", b"short", b"long " * 100])
def test_every_single_flipped_bit_is_seen(body: bytes) -> None:
    """Scenario 47, for one frame."""
    frame = pack(body)
    for i in range(len(frame)):
        for bit in range(8):
            changed = bytearray(frame)
            changed[i] ^= 1 << bit
            with pytest.raises(fr.BadFrame):
                unpack(bytes(changed))


@pytest.mark.parametrize("length", range(fr.HEADER_BYTES + 5))
def test_a_frame_that_ends_early_is_no_frame(length: int) -> None:
    with pytest.raises(fr.BadFrame):
        unpack(pack(b"short")[:length])


def test_a_frame_of_another_store_is_no_frame() -> None:
    with pytest.raises(fr.BadFrame, match="checksum"):
        unpack(pack(b"short"), fr.seed(b"another store"))


@given(st.binary(max_size=200))
def test_no_bytes_are_read_as_a_frame_by_chance(data: bytes) -> None:
    with pytest.raises(fr.BadFrame):
        unpack(data)
    with pytest.raises(fr.BadFrame):
        unpack(fr.MAGIC + b"\x01\0\0\0" + data)


@pytest.mark.parametrize(("offset", "claim"), [(20, fr.COUNT_MAX + 1), (24, fr.FRAME_BYTES_MAX + 1), (28, 2**32 - 1)])
def test_claims_past_the_bounds_are_refused_from_the_header_alone(offset: int, claim: int) -> None:
    head = bytearray(pack(b"short")[: fr.HEADER_BYTES])
    struct.pack_into("<I", head, offset, claim)
    with pytest.raises(fr.BadFrame, match="past all bounds"):
        fr.parse(bytes(head))


def _bomb_of_unknown_size(size: int) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(bytes(size)) + compressor.flush()


@pytest.mark.parametrize(
    "make",
    [
        lambda: zstandard.ZstdCompressor().compress(bytes(64 << 20)),
        lambda: _bomb_of_unknown_size(64 << 20),
        lambda: b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**62) + b"\x01\0\0",  # claims 4 EiB
        lambda: b"no zstandard at all",
        lambda: b"",
    ],
    ids=["claims its size", "hides its size", "claims 4 EiB", "is something else", "is nothing"],
)
def test_a_bomb_is_refused_before_memory_is_taken(make: Callable[[], bytes]) -> None:
    stored = make()
    tracemalloc.start()
    try:
        with pytest.raises(fr.BadFrame):
            fr.inflate(stored, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_bodies_that_do_not_shrink_are_stored_as_they_are() -> None:
    noise = random.Random(1).randbytes(5_000)
    header, _ = unpack(pack(noise))
    assert (header.flags, header.stored_len) == (0, 5_000)
    header, _ = unpack(pack(b"a" * 5_000))
    assert header.flags == fr.COMPRESSED
    assert header.stored_len < 100
