r"""A snapshot's file: written beside, renamed into place, checked when read. What a snapshot means is not known here.

Header, 60 bytes, little endian: magic `PDSNAP\0\0` (8), format version (2), reserved (2), the store's id (16), sequence number
(8), body length before compression (8), stored length (8), reserved (4), CRC-32 of the 56 bytes before and the stored body (4).
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from typing import TYPE_CHECKING

import zstandard

from perdure.store.frame import BadFrame, inflate
from perdure.store.protocol import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.disk import Disk

__all__ = ["file_name", "is_unfinished", "read", "seq_of", "write"]

MAGIC = b"PDSNAP\0\0"
FORMAT = 1
SNAPSHOT_BYTES_MAX = 64 << 30
_LAYOUT = struct.Struct("<8sHH16sQQQII")
_NAME = re.compile(r"snapshot-(\d{20})\.snap")


def file_name(seq: int) -> str:
    """Give the name of the snapshot at a sequence number."""
    return f"snapshot-{seq:020d}.snap"


def seq_of(name: str) -> int | None:
    """Give the sequence number of a snapshot by its file name; None for any other file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def is_unfinished(name: str) -> bool:
    """Tell whether a file is a snapshot that is being written, or that somebody died over."""
    return name.endswith(".tmp") and seq_of(name.removesuffix(".tmp") + ".snap") is not None


def write(disk: Disk, folder: Path, store_id: bytes, snapshot: Snapshot) -> None:
    """Write a snapshot so that it is there whole or not at all, whatever happens. Raises OSError."""
    stored = zstandard.ZstdCompressor(level=1).compress(snapshot.body)
    head = _LAYOUT.pack(MAGIC, FORMAT, 0, store_id, snapshot.seq, len(snapshot.body), len(stored), 0, 0)[:-4]
    crc = struct.pack("<I", zlib.crc32(stored, zlib.crc32(head)))
    path = folder / file_name(snapshot.seq)
    beside = path.with_suffix(".tmp")
    for name in disk.names(folder):
        if is_unfinished(name):  # there is one writer at a time: whoever left this is dead
            disk.remove(folder / name)
    try:
        _write_synced(disk, beside, b"".join((head, crc, stored)))
        disk.rename(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            disk.remove(beside)  # on a full disk, each failed try would leave it fuller
        raise
    disk.sync_folder(folder)


def _write_synced(disk: Disk, path: Path, data: bytes) -> None:
    fd = disk.create(path)
    try:
        disk.write(fd, data)
        disk.sync(fd)
    finally:
        disk.close(fd)


def read(disk: Disk, path: Path, store_id: bytes | None) -> Snapshot:
    """Read a snapshot; nothing it claims is believed before it is checked.

    Raises:
        BadFrame: it is damaged.
        OSError: it cannot be read.
    """
    size = disk.size(path)
    with disk.open_read(path) as file:
        head = file.read(_LAYOUT.size)
        if len(head) < _LAYOUT.size:
            msg = f"{len(head)} bytes where a header of {_LAYOUT.size} should be"
            raise BadFrame(msg)
        magic, version, _, written_by, seq, raw_len, stored_len, _, crc = _LAYOUT.unpack(head)
        if magic != MAGIC or version != FORMAT or stored_len != size - _LAYOUT.size or raw_len > SNAPSHOT_BYTES_MAX:
            msg = "its header is damaged, or its size is not what the header says"
            raise BadFrame(msg)
        stored = file.read(stored_len)
    if zlib.crc32(stored, zlib.crc32(head[:-4])) != crc:
        msg = "its checksum does not fit"
        raise BadFrame(msg)
    if seq != seq_of(path.name) or (store_id is not None and written_by != store_id):
        msg = "it belongs to another place or another store"
        raise BadFrame(msg)
    try:
        return Snapshot(seq, inflate(stored, raw_len))
    except MemoryError as error:  # asked for in one piece, so nothing was taken yet: an older one may be smaller, or honest
        msg = f"it says that it needs {raw_len} bytes of memory, and they are not to be had"
        raise BadFrame(msg) from error
