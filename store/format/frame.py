"""The bytes of a frame: header, checksum, hash chain, compression. How frames follow each other in a file is in `segment`.

Frame header, 56 bytes, little endian:

    offset  size  field
         0     4  magic `PdFr`
         4     1  version of the frame format (1)
         5     1  flags: bit 0 body compressed with zstandard; others reserved (dictionary, AEAD) and 0
         6     2  reserved, 0
         8     4  epoch of the owner that wrote it
        12     8  sequence number of its first event
        20     4  number of events; 0 for a seal
        24     4  length of the body before compression
        28     4  length of the body as stored
        32     4  number of events before it that were not synced when it was written
        36    16  chain hash of the frame before it
        52     4  CRC-32 (zlib) of the 52 bytes before and the stored body, started from the CRC-32 of the store's id

The chain hash of a frame is BLAKE2b with 16 bytes of output (RFC 7693) over header and stored body; as the header holds the
chain hash of the frame before, each one covers all of history up to it.
"""

from __future__ import annotations

import struct
import threading
import zlib
from hashlib import blake2b

import attrs
import zstandard

__all__ = [
    "COUNT_MAX",
    "FRAME_BYTES_MAX",
    "HEADER_BYTES",
    "MAGIC",
    "WINDOW_MAX",
    "BadFrame",
    "Header",
    "Unfinished",
    "chain_after",
    "check",
    "decompress",
    "pack",
    "parse",
]

MAGIC = b"PdFr"
VERSION = 1
COMPRESSED = 1
FRAME_BYTES_MAX = 64 << 20
COUNT_MAX = 1_000_000
_LAYOUT = struct.Struct("<4sBBHIQIIII16sI")
HEADER_BYTES = _LAYOUT.size
_CRC = struct.Struct("<I")
_COMPRESS_FROM = 384
"""Bytes from which on a body is compressed. Smaller ones hold a message or two: compressing them costs time and saves nothing."""
WINDOW_MAX = 1 << 27

_local = threading.local()


class BadFrame(Exception):
    """The bytes are not a whole frame; the message says why."""


class Unfinished(BadFrame):
    """The bytes end before the frame does: it was torn, or is being written."""


@attrs.frozen
class Header:
    """A frame's header, checked against all bounds."""

    flags: int
    epoch: int
    first_seq: int
    count: int
    raw_len: int
    stored_len: int
    unsynced: int
    prev: bytes
    crc: int

    @property
    def last_seq(self) -> int:
        """The sequence number of its last event; for a seal, that of the event before it."""
        return self.first_seq + self.count - 1

    @property
    def synced_before(self) -> int:
        """All events before this sequence number were synced when the frame was written."""
        return self.first_seq - self.unsynced


def seed(store_id: bytes) -> int:
    """Return the start value of a store's checksums, which makes a frame of another store invalid here."""
    return zlib.crc32(store_id)


def pack(*, body: bytes, count: int, first_seq: int, epoch: int, unsynced: int, prev: bytes, crc_seed: int) -> tuple[bytes, bytes]:
    """Return a frame's bytes and its chain hash."""
    flags, stored = 0, body
    if len(body) >= _COMPRESS_FROM:
        compressed = _compressor().compress(body)
        if len(compressed) < len(body):
            flags, stored = COMPRESSED, compressed
    head = _LAYOUT.pack(MAGIC, VERSION, flags, 0, epoch, first_seq, count, len(body), len(stored), unsynced, prev, 0)[:-4]
    crc = zlib.crc32(stored, zlib.crc32(head, crc_seed))
    frame = b"".join((head, _CRC.pack(crc), stored))
    return frame, chain_after(frame)


def chain_after(frame: bytes) -> bytes:
    """Return the chain hash of a frame's bytes."""
    return blake2b(frame, digest_size=16).digest()


def parse(head: bytes) -> Header:
    """Return the header that bytes begin with, once all its values are within bounds.

    Raises:
        BadFrame: it is not a header, or a value is out of bounds.
        Unfinished: the bytes are too few.
    """
    if len(head) < HEADER_BYTES:
        msg = f"{len(head)} bytes where a header of {HEADER_BYTES} should be"
        raise Unfinished(msg)
    magic, version, flags, reserved, *rest = _LAYOUT.unpack(head[:HEADER_BYTES])
    header = Header(flags, *rest)
    if magic != MAGIC or version != VERSION or flags & ~COMPRESSED or reserved:
        msg = "not the beginning of a frame"
        raise BadFrame(msg)
    if header.count > COUNT_MAX or max(header.raw_len, header.stored_len) > FRAME_BYTES_MAX:
        msg = f"a frame of {header.count} events and {header.stored_len} bytes is past all bounds"
        raise BadFrame(msg)
    return header


def check(header: Header, head: bytes, stored: bytes, crc_seed: int) -> None:
    """Check a frame's bytes against its checksum.

    Raises:
        BadFrame: the checksum does not match.
        Unfinished: the bytes are too few.
    """
    if len(stored) < header.stored_len:
        msg = f"{len(stored)} bytes where a body of {header.stored_len} should be"
        raise Unfinished(msg)
    if zlib.crc32(stored, zlib.crc32(head[: HEADER_BYTES - 4], crc_seed)) != header.crc:
        msg = "the checksum does not fit"
        raise BadFrame(msg)


def decompress(header: Header, stored: bytes) -> bytes:
    """Return a frame's body, decompressed.

    zstandard ignores a limit on the output if the data claims a size, so the claim is checked first.

    Raises:
        BadFrame: it is not what the header says.
    """
    if not header.flags & COMPRESSED:
        if header.raw_len != header.stored_len:
            msg = "an uncompressed body with two lengths"
            raise BadFrame(msg)
        return stored
    return inflate(stored, header.raw_len)


def inflate(stored: bytes, raw_len: int) -> bytes:
    """Return the decompressed data, exactly `raw_len` bytes.

    Raises:
        BadFrame: the data claims or holds another size, or needs a larger window than is allowed.
    """
    try:
        claims = zstandard.get_frame_parameters(stored)
        if claims.content_size != raw_len or claims.window_size > WINDOW_MAX:
            msg = f"compressed data that claims {claims.content_size} bytes where {raw_len} were written"
            raise BadFrame(msg)
        body = _decompressor().decompress(stored, max_output_size=raw_len)
    except zstandard.ZstdError as error:
        msg = f"the body cannot be decompressed: {error}"
        raise BadFrame(msg) from error
    if len(body) != raw_len:
        msg = f"{len(body)} bytes decompressed where {raw_len} were written"
        raise BadFrame(msg)
    return body


def _compressor() -> zstandard.ZstdCompressor:
    """Return this thread's compressor: making one is expensive, and threads must not share one."""
    made: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if made is None:
        made = _local.compressor = zstandard.ZstdCompressor(level=1)
    return made


def _decompressor() -> zstandard.ZstdDecompressor:
    """Return this thread's decompressor."""
    made: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if made is None:
        made = _local.decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
    return made
