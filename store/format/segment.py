r"""A segment file: its name, its header, and reading its frames one after another. Writing is in `files/segment_writer`.

Segment header, 68 bytes, little endian: magic `PERDURE\0` (8), format version (2), reserved (2), the store's id (16), sequence
number of its first event (8), epoch of the owner that began it (4), chain hash before its first frame (16), time of creation
in microseconds since the Unix epoch (8), CRC-32 of the 64 bytes before (4).

Where segments overlap, the later one wins: in an earlier segment, frames from its first sequence number on are void.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store.format import frame as fr
from perdure.store.values import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure.store.disk.disk import Disk

__all__ = ["HEADER_BYTES", "ScanPosition", "SegmentHeader", "file_name", "first_seq_of", "pack_header", "read_header", "scan"]

MAGIC = b"PERDURE\0"
FORMAT = 1
_LAYOUT = struct.Struct("<8sHH16sQI16sQI")
HEADER_BYTES = _LAYOUT.size
_NAME = re.compile(r"log-(\d{20})\.seg")


@attrs.frozen
class SegmentHeader:
    """The header of a segment."""

    store_id: bytes
    first_seq: int
    epoch: int
    chain: bytes
    created_us: int


def file_name(first_seq: int) -> str:
    """Return the name of the segment that begins with an event."""
    return f"log-{first_seq:020d}.seg"


def first_seq_of(name: str) -> int | None:
    """Return the first sequence number of a segment, from its file name; None for any other file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def pack_header(header: SegmentHeader) -> bytes:
    """Return a segment header's bytes."""
    head = _LAYOUT.pack(MAGIC, FORMAT, 0, header.store_id, header.first_seq, header.epoch, header.chain, header.created_us, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head))


def read_header(disk: Disk, path: Path) -> SegmentHeader:
    """Return a segment's header.

    Raises:
        StoreCorrupt: it is damaged, or the file has another segment's name.
        StoreUnavailable: a newer version of perdure wrote it.
    """
    with disk.open_read(path) as file:
        head = file.read(HEADER_BYTES)
    first_seq = first_seq_of(path.name) or 0
    if head[:8] == MAGIC and len(head) >= 10 and int.from_bytes(head[8:10], "little") > FORMAT:  # noqa: PLR2004 - magic and version
        version = int.from_bytes(head[8:10], "little")
        msg = f"{path} is of format {version}; this version of perdure knows up to {FORMAT}. Upgrade perdure to open it."
        raise StoreUnavailable(msg)
    if len(head) < HEADER_BYTES or zlib.crc32(head[:-4]) != int.from_bytes(head[-4:], "little") or head[:8] != MAGIC:
        raise damaged(path, 0, first_seq, "the segment's header is damaged")
    _, _, _, store_id, named_seq, epoch, chain, created_us, _ = _LAYOUT.unpack(head)
    if named_seq != first_seq:
        raise damaged(path, 0, first_seq, f"the file is named {first_seq} and says it begins with {named_seq}")
    return SegmentHeader(store_id, first_seq, epoch, chain, created_us)


def damaged(path: Path, offset: int, seq: int, problem: str) -> StoreCorrupt:
    """Return the error for damage at one position."""
    msg = (
        f"{path.name} is damaged at offset {offset}, sequence {seq}: {problem}. Nothing was changed. `perdure verify` lists all "
        "damage; restore the folder from a backup, or read what is whole with perdure.Audit."
    )
    return StoreCorrupt(msg, file=str(path), offset=offset, seq=seq)


@attrs.define
class ScanPosition:
    """How far a scan has read: the next frame is expected at `offset` with `seq`, after the chain hash `chain`."""

    offset: int
    seq: int
    chain: bytes
    sealed: bool = False
    """The last frame read was a seal."""
    problem: str = ""
    """Why the scan ended before the end of the file; empty if it reached the end."""
    unfinished: bool = False
    """The problem is that the file ends before the frame does."""
    size: int = 0
    """Bytes of the file when the scan began."""


def scan(
    disk: Disk, path: Path, header: SegmentHeader, position: ScanPosition, until: int | None = None, *, bodies: bool = True
) -> Iterator[tuple[fr.Header, Frame, bytes]]:
    """Yield the whole frames of a segment with their bytes, in order, and move `place` behind each; end before the first bad one.

    Args:
        disk: the disk.
        path: of the segment.
        header: of the segment.
        position: where to begin.
        until: frames after this sequence number are skipped because a later segment replaces them; a seal is still read.
        bodies: whether frames have their bodies; otherwise these are checked, and empty in the result.
    """
    crc_seed = fr.seed(header.store_id)
    with disk.open_read(path) as file:
        position.size = disk.size(path)
        file.seek(position.offset)
        while True:
            head = file.read(fr.HEADER_BYTES)
            if not head:
                return
            beyond = until is not None and position.seq > until
            try:
                parsed = fr.parse(head)
                if beyond and parsed.count:
                    return
                stored = file.read(parsed.stored_len)
                fr.check(parsed, head, stored, crc_seed)
                if parsed.first_seq != position.seq or parsed.prev != position.chain:
                    raise _stray(parsed)
                body = fr.decompress(parsed, stored) if bodies else b""
            except fr.BadFrame as error:
                position.problem = "" if beyond else str(error)
                position.unfinished = isinstance(error, fr.Unfinished)
                return
            position.offset += fr.HEADER_BYTES + parsed.stored_len
            raw = head + stored
            position.chain = fr.chain_after(raw)
            position.seq += parsed.count
            position.sealed = parsed.count == 0
            yield parsed, Frame(parsed.first_seq, parsed.count, body), raw


def _stray(parsed: fr.Header) -> fr.BadFrame:
    """Return the error for a whole frame that does not continue the one before it."""
    return fr.BadFrame(f"it does not follow the frame before it (it says sequence {parsed.first_seq})")
