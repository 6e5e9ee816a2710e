"""Everything that is whole in a segment, and everything that is not: a scan that goes on behind damage.

For `verify` and `repair`. Whoever runs on a log stops at the first bad frame: that is `segment.scan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.protocol import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.store.disk.disk import Disk

__all__ = ["Gap", "Whole", "survey"]


@attrs.frozen
class Whole:
    """A whole frame."""

    offset: int
    end: int
    frame: Frame
    epoch: int
    prev: bytes
    chain: bytes
    follows: bool
    """It continues the whole frame before it, or the segment's header."""


@attrs.frozen
class Gap:
    """Bytes that are no whole frame; `size` 0 where a whole frame does not continue what is before it."""

    offset: int
    size: int
    seq: int
    """The sequence number that was expected there."""
    problem: str


def survey(
    disk: Disk,
    path: Path,
    header: sg.SegmentHeader,
    place: sg.Place,
    until: int | None = None,
    *,
    again: Callable[[sg.Place], bool] = lambda _place: False,
) -> Iterator[Whole | Gap]:
    """Give all whole frames of a segment and all gaps between them, in order, and move `place` behind each.

    Args:
        disk: the disk.
        path: of the segment.
        header: of the segment.
        place: where to begin.
        until: frames after this sequence number are not looked at; a later segment has the word on them.
        again: asked at the first bad frame: whether to look at it again, as a live owner may just have been writing it.

    Raises:
        OSError: it cannot be read.
    """
    while True:
        offset, prev = place.offset, place.chain
        for parsed, frame in sg.scan(disk, path, header, place, until):
            yield Whole(offset, place.offset, frame, parsed.epoch, prev, place.chain, follows=True)
            offset, prev = place.offset, place.chain
        if not place.problem:
            return
        if not again(place):
            break
        place.problem = ""
    with disk.open_read(path) as file:
        file.seek(place.offset)
        rest = file.read()
    yield from _behind_damage(rest, fr.seed(header.store_id), place, until)


def _behind_damage(rest: bytes, crc_seed: int, place: sg.Place, until: int | None) -> Iterator[Whole | Gap]:
    """Go on in what is left of a segment, which begins with a bad frame."""
    base, at, problem = place.offset, 0, place.problem
    while at < len(rest):
        found = _next_whole(rest, at, crc_seed, place.seq, until)
        gap_end = len(rest) if found is None else found[0]
        yield Gap(base + at, gap_end - at, place.seq, problem)
        place.offset = base + gap_end
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
            follows = (parsed.first_seq, parsed.prev) == (place.seq, place.chain)
            if not follows and at != gap_end:
                problem = f"it does not follow the frame before it (it says sequence {parsed.first_seq})"
                break
            place.seq, place.chain, place.sealed = parsed.first_seq + parsed.count, fr.chain_after(raw), parsed.count == 0
            at += len(raw)
            place.offset = base + at
            yield Whole(place.offset - len(raw), place.offset, frame, parsed.epoch, parsed.prev, place.chain, follows)


def _next_whole(rest: bytes, start: int, crc_seed: int, seq: int, until: int | None) -> tuple[int, fr.Header] | None:
    """Find the next whole frame that may continue the log after a gap."""
    at = rest.find(fr.MAGIC, start)
    while at >= 0:
        try:
            parsed, _, _ = _frame_at(rest, at, crc_seed)
        except fr.BadFrame:
            parsed = None
        if parsed is not None and parsed.first_seq >= seq and (until is None or parsed.first_seq <= until + 1):
            return at, parsed
        at = rest.find(fr.MAGIC, at + 1)
    return None


def _frame_at(rest: bytes, at: int, crc_seed: int) -> tuple[fr.Header, Frame, bytes]:
    head = rest[at : at + fr.HEADER_BYTES]
    parsed = fr.parse(head)
    raw = rest[at : at + fr.HEADER_BYTES + parsed.stored_len]
    stored = raw[fr.HEADER_BYTES :]
    fr.check(parsed, head, stored, crc_seed)
    return parsed, Frame(parsed.first_seq, parsed.count, fr.decompress(parsed, stored)), raw
