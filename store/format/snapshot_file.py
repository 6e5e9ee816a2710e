r"""A snapshot's file: written under another name, renamed into place, checked when read. Its body is `events/codec`'s.

Header, 60 bytes, little endian: magic `PDSNAP\0\0` (8), format version (2), reserved (2), the store's id (16), sequence number
(8), body length before compression (8), stored length (8), reserved (4), CRC-32 (4). In version 1 the CRC covers the 56 bytes
before it and the stored body. In version 2, which is written piece by piece, both lengths are 0 and the CRC covers the 56 bytes. A
trailer of 20 bytes behind the body holds the two lengths (8 each) and the CRC-32 of all bytes before.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import zstandard

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.whole_file import write_whole
from perdure.store.format.frame import WINDOW_MAX, BadFrame, inflate
from perdure.store.values import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from perdure.store.disk.disk import Disk

__all__ = ["file_name", "is_unfinished", "read", "seq_of", "store_id_of", "write"]

MAGIC = b"PDSNAP\0\0"
FORMAT = 2
READABLE = (1, 2)
TRAILER_BYTES = 20
PIECE_BYTES = 1 << 20
KEPT_BYTES = 4 << 20
"""A body of up to this many bytes stays in memory when its file is read; a larger one is read again at each access."""
SNAPSHOT_BYTES_MAX = 1 << 42
_LAYOUT = struct.Struct("<8sHH16sQQQII")
_LENGTHS = struct.Struct("<QQ")
_NAME = re.compile(r"snapshot-(\d{20})\.snap")


def file_name(seq: int) -> str:
    """Return the name of the snapshot at a sequence number."""
    return f"snapshot-{seq:020d}.snap"


def seq_of(name: str) -> int | None:
    """Return the sequence number of a snapshot, from its file name; None for any other file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def is_unfinished(name: str) -> bool:
    """Return whether a name is that of a snapshot that is being written, or whose writer died."""
    return name.endswith(".tmp") and seq_of(name.removesuffix(".tmp") + ".snap") is not None


def write(disk: Disk, folder: Path, store_id: bytes, snapshot: Snapshot) -> None:
    """Write a snapshot so that it exists whole or not at all. It is never whole in memory. Raises OSError."""
    for name in disk.names(folder):
        if is_unfinished(name):  # there is one writer at a time, so its writer is dead
            disk.remove(folder / name)
    write_whole(disk, folder / file_name(snapshot.seq), _joined(_packed(store_id, snapshot)))


def _packed(store_id: bytes, snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the bytes of a snapshot's file, in pieces of any size."""
    head = _LAYOUT.pack(MAGIC, FORMAT, 0, store_id, snapshot.seq, 0, 0, 0, 0)[:-4]
    head += struct.pack("<I", zlib.crc32(head))
    yield head
    crc, raw_len, stored_len = zlib.crc32(head), 0, 0
    press = zstandard.ZstdCompressor(level=1).compressobj()
    for chunk in snapshot.chunks():
        raw_len += len(chunk)
        stored = press.compress(chunk)
        crc, stored_len = zlib.crc32(stored, crc), stored_len + len(stored)
        yield stored
    stored = press.flush()
    lengths = _LENGTHS.pack(raw_len, stored_len + len(stored))
    yield stored + lengths + struct.pack("<I", zlib.crc32(lengths, zlib.crc32(stored, crc)))


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at least `PIECE_BYTES`, but for the last, so that there are few writes."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _head_of(file: BinaryIO) -> bytes:
    head = file.read(_LAYOUT.size)
    if len(head) < _LAYOUT.size:
        msg = f"{len(head)} bytes where a header of {_LAYOUT.size} should be"
        raise BadFrame(msg)
    return head


def store_id_of(disk: Disk, path: Path) -> bytes:
    """Return the id of the store that a snapshot names.

    Raises:
        BadFrame: the file is too short.
        OSError: it cannot be read.
    """
    with disk.open_read(path) as file:
        written_by: bytes = _LAYOUT.unpack(_head_of(file))[3]
    return written_by


def read(disk: Disk, path: Path, store_id: bytes | None) -> Snapshot:
    """Return a snapshot after a check of all its bytes; with a `store_id`, it must belong to that store.

    Raises:
        BadFrame: it is damaged or belongs elsewhere.
        OSError: it cannot be read.
    """
    with disk.open_read(path) as file:
        head = _head_of(file)
        magic, version, _, written_by, seq, raw_len, stored_len, _, crc = _LAYOUT.unpack(head)
        size = disk.size(path) - _LAYOUT.size
        if magic != MAGIC or version not in READABLE:
            msg = "its header is damaged"
            raise BadFrame(msg)
        if version == FORMAT:
            size -= TRAILER_BYTES
            raw_len, stored_len = _check_pieces(file, head, size)
        if stored_len != size or raw_len > SNAPSHOT_BYTES_MAX:
            msg = "its size is not the one that it states"
            raise BadFrame(msg)
        stored = file.read(stored_len) if version != FORMAT else b""
    if version != FORMAT and zlib.crc32(stored, zlib.crc32(head[:-4])) != crc:
        msg = "its checksum does not match"
        raise BadFrame(msg)
    if seq != seq_of(path.name) or (store_id is not None and written_by != store_id):
        msg = "it belongs to another sequence number or another store"
        raise BadFrame(msg)
    if version == FORMAT:
        return _checked(disk, path, seq, raw_len, stored_len)
    try:
        return Snapshot(seq, inflate(stored, raw_len))
    except MemoryError as error:  # asked for in one piece, so nothing was allocated; an older one may be smaller
        msg = f"it needs {raw_len} bytes of memory, more than there are"
        raise BadFrame(msg) from error


def _check_pieces(file: BinaryIO, head: bytes, stored_len: int) -> tuple[int, int]:
    """Read a file of version 2 behind its header and compare checksums; return the raw and the stored length."""
    crc = zlib.crc32(head)
    left = stored_len + _LENGTHS.size
    lengths = b""
    while left > 0 and (piece := file.read(min(left, PIECE_BYTES))):
        left -= len(piece)
        crc = zlib.crc32(piece, crc)
        lengths = (lengths + piece)[-_LENGTHS.size :]
    if left or file.read(4) != struct.pack("<I", crc) or len(lengths) < _LENGTHS.size:
        msg = "its checksum does not match"
        raise BadFrame(msg)
    raw_len, claimed = _LENGTHS.unpack(lengths)
    return raw_len, claimed


def _checked(disk: Disk, path: Path, seq: int, raw_len: int, stored_len: int) -> Snapshot:
    """Return a snapshot of version 2 after a check of its whole body, which stays in memory only if it is small."""
    if raw_len <= KEPT_BYTES:
        return Snapshot(seq, b"".join(_pieces(disk, path, raw_len, stored_len)))
    for _ in _pieces(disk, path, raw_len, stored_len):
        pass

    def again() -> Iterator[bytes]:
        try:
            yield from _pieces(disk, path, raw_len, stored_len)
        except (BadFrame, OSError) as error:  # it was whole a moment ago, so it has been removed or replaced
            msg = f"the snapshot {path} can no longer be read: {error}. Read again from what is there now."
            raise StoreUnavailable(msg) from error

    return Snapshot(seq, again)


def _pieces(disk: Disk, path: Path, raw_len: int, stored_len: int) -> Iterator[bytes]:
    """Yield the decompressed body in pieces, in little memory whatever the data claims.

    Raises:
        BadFrame: it has another length than stated, or is not compressed data.
        OSError: it cannot be read.
    """
    total = 0
    with disk.open_read(path) as file:
        file.seek(_LAYOUT.size)
        part: Any = _FilePart(file, stored_len)
        try:
            with zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).stream_reader(part, read_size=PIECE_BYTES) as reader:
                while piece := reader.read(PIECE_BYTES):
                    total += len(piece)
                    if total > raw_len:
                        break
                    yield piece
        except zstandard.ZstdError as error:
            msg = f"the body cannot be decompressed: {error}"
            raise BadFrame(msg) from error
    if total != raw_len:
        msg = f"{total} bytes decompressed where {raw_len} were written"
        raise BadFrame(msg)


class _FilePart:
    """A number of bytes of a file, readable like a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data
