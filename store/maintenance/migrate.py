"""Migration: the whole history of a log in another place, with the same bytes in its frames, so that noted heads stay valid.

How logs are read and written is the stores' (`LogReader`, `LogTarget`). A damaged log is not moved: that is `repair`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store.survey import Damage, Stretch, WholeFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store.protocol import LogReader, LogTarget

__all__ = ["Migration", "migrate"]


@attrs.define
class Migration:
    """What was moved."""

    first_seq: int = 1
    last_seq: int = 0
    events: int = 0
    snapshots: int = 0
    chain: str = ""
    """Chain hash of the last frame, in hexadecimal digits: the same in both places."""


def migrate(source: LogReader, target: LogTarget, *, progress: Callable[[int], None] | None = None) -> Migration:
    """Copy a log whole and return what was copied; `progress` is called with each last event written. Nothing may write the source.

    Raises:
        StoreCorrupt: the source is damaged. The target is not complete, and no system starts on it.
        StoreUnavailable: one of the two cannot be read or written, the target is not empty, or the source changed meanwhile.
    """
    target.check_empty()
    done = Migration()
    begun = False
    for item in source.survey():
        match item:
            case Stretch():
                _check_stretch(item, is_first=not begun)
                if not begun:
                    target.begin(item)
                    done.first_seq, done.last_seq, done.chain = item.first_seq, item.first_seq - 1, item.chain.hex()
                    begun = True
            case Damage():
                raise _damaged(item.file, item.offset, item.seq, item.problem)
            case WholeFrame():
                if not item.follows:
                    raise _damaged(item.file, item.offset, item.frame.first_seq, "it does not continue the frame before it")
                target.put(item)
                done.events += item.frame.count
                done.last_seq, done.chain = item.frame.last_seq, item.chain.hex()
                if progress is not None:
                    progress(done.last_seq)
    if not begun:
        raise StoreUnavailable(f"{source.address} holds no log")
    for snapshot in reversed([*source.snapshots(done.last_seq)]):
        target.put_snapshot(snapshot)
        done.snapshots += 1
    if (found := target.finish().last_seq) != done.last_seq:
        msg = f"the copy ends at {found}, and not at {done.last_seq} as the log in {source.address}"
        raise StoreUnavailable(msg)
    return done


def _check_stretch(stretch: Stretch, *, is_first: bool) -> None:
    if stretch.problem:
        raise _damaged(stretch.file, 0, stretch.first_seq, stretch.problem)
    if stretch.restarts and not is_first:
        raise StoreUnavailable("the log changed while it was read. Stop its owner and try again.")


def _damaged(file: str, offset: int, seq: int, problem: str) -> StoreCorrupt:
    return StoreCorrupt(f"{file} is damaged at sequence {seq}: {problem}. Repair it first: perdure repair", file, offset, seq)
