"""Bytes that no store wrote raise only documented errors, from frames down to events, and need bounded memory.

Damage to whole folders is in `test_damage`. PERDURE_EXAMPLES multiplies the examples of Hypothesis; `fuzz.py` is for atheris.
"""

from __future__ import annotations

import os
import resource
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.chaos.processes.forked_child import forked
from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.codec.snapshot import States, fold
from perdure.events.codec.snapshot_framing import pack, unpack
from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import FolderReader, SegmentStore, Snapshot, verify
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from tests.effort import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.chaos.processes.forked_child import Report

DOCUMENTED = (StoreCorrupt, StoreUnavailable)
EXAMPLES = examples(500) * int(os.environ.get("PERDURE_EXAMPLES", "1"))
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEED = fr.seed(b"i" * 16)
MEMORY_BYTES = 512 << 20

MESSAGE = ev.Published(1, "a", "t", b"payload", key="k", headers={"h": "v"}, extras=ev.Extras(window_us=5, result_us=9))
EVENTS: list[ev.Event] = [
    MESSAGE,
    *[ev.Published(n, f"id{n}", "t", b"%d" % n, group="g") for n in range(2, 6)],
    ev.Completed(1, 1),
    ev.KeyHeld("t", "k", "a", 99),
]


def states() -> States:
    made = States()
    fold(made, [(5, [event for event in EVENTS if not isinstance(event, ev.Completed)])], 1)
    return made


def hostile_leaves() -> st.SearchStrategy[Any]:
    numbers = st.sampled_from([0, -1, 1, 2, 2**31, 2**53, 2**63 - 1, 2**64 - 1, -(2**63), True, 1.5, float("nan"), float("inf")])
    return numbers | st.none() | st.text(max_size=3) | st.binary(max_size=3) | st.lists(st.none(), max_size=2) | st.just({})


def _replaced(plain: Any, at: list[int], leaf: Any) -> Any:
    """Return a structure with one node replaced, at the path `at`."""
    if not at or not isinstance(plain, (list, dict)) or not plain:
        return leaf
    if isinstance(plain, list):
        i = at[0] % len(plain)
        return [_replaced(value, at[1:], leaf) if k == i else value for k, value in enumerate(plain)]
    chosen = sorted(plain, key=repr)[at[0] % len(plain)]
    return {key: _replaced(value, at[1:], leaf) if key == chosen else value for key, value in plain.items()}


def mutations(plain: Any, encode: Callable[[Any], bytes] = msgspec.msgpack.encode) -> st.SearchStrategy[bytes]:
    """Return encodings of slightly changed structures."""
    paths = st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=9), hostile_leaves()), min_size=1, max_size=3)

    def mutate(changes: list[tuple[list[int], Any]]) -> bytes:
        changed = plain
        for at, leaf in changes:
            changed = _replaced(changed, at, leaf)
        try:
            return encode(changed)
        except (TypeError, KeyError):  # its outer shape is gone
            return msgspec.msgpack.encode(changed)

    return paths.map(mutate)


def only_documented(call: Callable[[], object]) -> None:
    try:
        call()
    except DOCUMENTED:
        return


ENCODED = wire.encode([(7, EVENTS)])


@fuzzed
@given(mutations(msgspec.msgpack.decode(ENCODED)) | st.binary(max_size=300), st.integers(0, 10))
def test_hostile_events(body: bytes, count: int) -> None:
    only_documented(lambda: wire.decode(body, count))
    only_documented(lambda: wire.decode(body, len(EVENTS)))


@fuzzed
@given(mutations(unpack(states().encode()), pack) | st.binary(max_size=300))
def test_hostile_snapshots(body: bytes) -> None:
    only_documented(lambda: States.decode(body))


@fuzzed
@given(st.binary(max_size=400), st.integers(0, 2**32))
def test_hostile_frames(data: bytes, raw_len: int) -> None:
    frame = fr.MAGIC + b"\1\1\0\0" + data

    def read() -> None:
        fr.check(fr.parse(frame[: fr.HEADER_BYTES]), frame[: fr.HEADER_BYTES], frame[fr.HEADER_BYTES :], SEED)

    with pytest.raises(fr.BadFrame):
        read()
    with pytest.raises(fr.BadFrame):
        fr.inflate(data, raw_len)


@fuzzed
@given(st.binary(max_size=300), st.sampled_from(["header", "frames"]))
def test_hostile_segments(data: bytes, behind: str) -> None:
    """A start raises a documented error or finds no frame, and verify finds the damage."""
    head = sg.pack_header(sg.SegmentHeader(b"i" * 16, 1, 1, b"c" * 16, 1)) if behind == "header" else b""
    files = {sg.file_name(1): head + data, snapshot_file.file_name(1): data}
    store = SegmentStore("/data", disk=MemoryDisk(files))
    try:
        assert store.open().last_seq == 0
    except DOCUMENTED:
        pass
    finally:
        store.abandon()
    assert not verify(FolderReader("/data", disk=MemoryDisk(files))).ok


def test_valid_frame_of_hostile_events_is_refused_by_a_start_and_by_audit(tmp_path: Path) -> None:
    """Checksum and chain are valid, as written by an attacker with access to the folder; reading raises `StoreCorrupt`."""
    import perdure

    for n, body in enumerate((b"\x91" * 5_000, b"", b"\xdd\xff\xff\xff\xff", msgspec.msgpack.encode([[1, [[1, 1, 1]]]]))):
        folder = tmp_path / str(n)
        store = SegmentStore(folder)
        store.open()
        store.append(body, 1, expected_seq=1)
        store.close()
        with pytest.raises(perdure.StoreCorrupt):
            perdure.System(folder).start()
        with pytest.raises(perdure.StoreCorrupt):
            list(perdure.Audit(folder).events())
        assert perdure.Audit(folder).verify().segments == 1


# --- bounded memory ---------------------------------------------------------------------------------------------------------


def in_little_memory(work: Callable[[], object]) -> str:
    """Run `work` in a child with at most half a gigabyte of additional memory. Return what it raised."""

    def limited(report: Report) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        try:
            work()
        except Exception as error:  # noqa: BLE001 - its name is the result
            report(f"raised {type(error).__name__}")

    with forked(limited) as child:
        child.go()
        ended = child.wait()
    assert ended.status == 0, ended
    return ended.reports[-1] if ended.reports else "nothing raised"


def a_snapshot_of(**parts: Any) -> bytes:
    plain = unpack(states().encode())
    for name, value in parts.items():
        plain["queue"][name] = value
    return pack(plain)


HUGE = 2**40
HOSTILE: dict[str, Callable[[], object]] = {
    "a list of 4 G": lambda: wire.decode(b"\xdd\xff\xff\xff\xff", 1),
    "a map of 4 G": lambda: wire.decode(b"\xdf\xff\xff\xff\xff", 1),
    "a string of 4 G": lambda: wire.decode(b"\xdb\xff\xff\xff\xff", 1),
    "lists in lists": lambda: wire.decode(b"\x91" * 1_000_000, 1),
    "lists of 4 G in each other": lambda: wire.decode(b"\xdd\xff\xff\xff\xff" * 100_000, 1),
    "a snapshot of lists in lists": lambda: States.decode(b"\x91" * 1_000_000),
    "a snapshot of maps in maps": lambda: States.decode(b"\x81\xa6format" * 100_000),
    "a constant column of 1 T": lambda: wire.decode(msgspec.msgpack.encode([[1, [[6, 1, HUGE, {0: 1}, {0: 1}]]]]), 1),
    "a snapshot with a constant column": lambda: States.decode(a_snapshot_of(results=[6, 1, HUGE, {0: 1}, {0: 1}])),
    "a snapshot with a counting column": lambda: States.decode(a_snapshot_of(leases=[6, 1, HUGE, {1: 1}, {0: 1}])),
    "a snapshot with an open message block of 1 T": lambda: States.decode(
        a_snapshot_of(parcels=[[1, "t", [["01234567-89ab-7000-8000-", 1, HUGE]], [], 0, 0, [], 0, False]])
    ),
    "a snapshot with a sealed, live message block of 1 T": lambda: States.decode(
        a_snapshot_of(parcels=[[1, "t", [["01234567-89ab-7000-8000-", 1, HUGE]], [b""], 0, 0, [], 1, True]])
    ),
    "a snapshot of one message, often": lambda: States.decode(
        a_snapshot_of(published=[1, 1, HUGE, {1: 1}, {0: "a"}, {0: "t"}, {0: b""}])
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_messagepack_is_refused_in_little_memory(what: str) -> None:
    assert in_little_memory(HOSTILE[what]) == "raised StoreCorrupt"


def _with_crc(magic_head: bytes, stored: bytes) -> bytes:
    return magic_head + struct.pack("<I", zlib.crc32(stored, zlib.crc32(magic_head))) + stored


@pytest.mark.parametrize("claim", [1_000, 1 << 30, 1 << 36, 1 << 62])
def test_a_snapshot_that_is_a_bomb(claim: int) -> None:
    """A small file with a valid checksum that claims or contains a gigabyte."""
    stored = zstandard.ZstdCompressor().compress(bytes(1 << 30) if claim == 1 << 30 else bytes(1 << 20))
    head = struct.pack("<8sHH16sQQQI", b"PDSNAP\0\0", 1, 0, b"i" * 16, 1, claim, len(stored), 0)
    disk = MemoryDisk({snapshot_file.file_name(1): _with_crc(head, stored)})

    def read() -> Snapshot:
        return snapshot_file.read(disk, Path("/data") / snapshot_file.file_name(1), None)

    assert in_little_memory(read) == "raised BadFrame"


@pytest.mark.parametrize("stored_len", [1, 1 << 20, fr.FRAME_BYTES_MAX, 2**32 - 1])
def test_a_frame_that_claims_more_than_there_is(stored_len: int) -> None:
    """A start takes no more memory than the length of the file and two buffers."""
    head = sg.pack_header(sg.SegmentHeader(b"i" * 16, 1, 1, b"c" * 16, 1))
    claim = struct.pack("<4sBBHIQIIII16sI", fr.MAGIC, 1, 0, 0, 1, 1, 1, stored_len, stored_len, 0, b"c" * 16, 0)
    disk = MemoryDisk({sg.file_name(1): head + claim + b"x" * 1000})
    store = SegmentStore("/data", disk=disk)
    tracemalloc.start()
    try:
        assert store.open().last_seq == 0
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
        store.abandon()
