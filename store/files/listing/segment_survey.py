"""Everything that is whole in a segment, and everything that is not: a scan that goes on behind damage.

For surveys of a whole folder (`folder_survey`). An owner or reader stops at the first bad frame: that is `segment.scan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.survey import Damage, WholeFrame
from perdure.store.values import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.store.disk.disk import Disk

__all__ = ["survey_segment"]


def survey_segment(
    disk: Disk,
    path: Path,
    header: sg.SegmentHeader,
    position: sg.ScanPosition,
    until: int | None = None,
    *,
    again: Callable[[sg.ScanPosition], bool] = lambda _place: False,
) -> Iterator[WholeFrame | Damage]:
    """Yield all whole frames of a segment and all damage between them, in order, and move `place` behind each.

    Args:
        disk: the disk.
        path: of the segment.
        header: of the segment.
        position: where to begin.
        until: frames after this sequence number are skipped, because a later segment replaces them.
        again: called at the first bad frame; returns whether to read it again, as a live owner may just have been writing it.

    Raises:
        OSError: it cannot be read.
    """
    while True:
        offset, prev = position.offset, position.chain
        for parsed, frame, raw in sg.scan(disk, path, header, position, until):
            yield WholeFrame(path.name, offset, raw, frame, parsed.epoch, prev, position.chain, follows=True)
            offset, prev = position.offset, position.chain
        if not position.problem:
            return
        if not again(position):
            break
        position.problem = ""
    with disk.open_read(path) as file:
        file.seek(position.offset)
        rest = file.read()
    yield from _behind_damage(path.name, rest, fr.seed(header.store_id), position, until)


def _behind_damage(
    name: str, rest: bytes, crc_seed: int, position: sg.ScanPosition, until: int | None
) -> Iterator[WholeFrame | Damage]:
    """Survey the rest of a segment, which begins with a bad frame."""
    base, at, problem = position.offset, 0, position.problem
    while at < len(rest):
        found = _next_whole(rest, at, crc_seed, position.seq, until)
        gap_end = len(rest) if found is None else found
        yield Damage(name, base + at, gap_end - at, position.seq, problem)
        position.offset = base + gap_end
        if found is None:
            return
        at, problem = gap_end, ""
        while at < len(rest) and not problem:
            try:
                parsed, frame, raw = _frame_at(rest, at, crc_seed)
            except fr.BadFrame as error:
                problem = str(error)
                break
            if until is not None and parsed.count and parsed.first_seq > until:
                return
            follows = (parsed.first_seq, parsed.prev) == (position.seq, position.chain)
            if not follows and at != gap_end:
                problem = f"it does not follow the frame before it (it says sequence {parsed.first_seq})"
                break
            offset = position.offset
            position.seq, position.chain, position.sealed = parsed.first_seq + parsed.count, fr.chain_after(raw), parsed.count == 0
            at += len(raw)
            position.offset = base + at
            yield WholeFrame(name, offset, raw, frame, parsed.epoch, parsed.prev, position.chain, follows)


def _next_whole(rest: bytes, start: int, crc_seed: int, seq: int, until: int | None) -> int | None:
    """Return where the next whole frame begins that may continue the log after damage; None if there is none."""
    at = rest.find(fr.MAGIC, start)
    while at >= 0:
        try:
            parsed, _, _ = _frame_at(rest, at, crc_seed)
        except fr.BadFrame:
            parsed = None
        if parsed is not None and parsed.first_seq >= seq and (until is None or parsed.first_seq <= until + 1):
            return at
        at = rest.find(fr.MAGIC, at + 1)
    return None


def _frame_at(rest: bytes, at: int, crc_seed: int) -> tuple[fr.Header, Frame, bytes]:
    """Return the frame at an offset.

    Raises:
        BadFrame: there is no whole one.
    """
    head = rest[at : at + fr.HEADER_BYTES]
    parsed = fr.parse(head)
    raw = rest[at : at + fr.HEADER_BYTES + parsed.stored_len]
    stored = raw[fr.HEADER_BYTES :]
    fr.check(parsed, head, stored, crc_seed)
    return parsed, Frame(parsed.first_seq, parsed.count, fr.decompress(parsed, stored)), raw
