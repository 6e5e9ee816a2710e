"""Restoring the logs of a whole queue: either all can be used, or none. How one is written is in `restoring`.

All are written before the first may be used. A run that is cut off between the first and the last of them is completed by the next,
which keeps those that are already as it would write them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import PerdureError, StoreUnavailable
from perdure.store.backup.restoring import Restored, WrittenLog, end_of_restored, write_log
from perdure.store.survey import Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.store.backup.reader import BackupReader
    from perdure.store.protocol import LogReader, LogTarget

__all__ = ["LogToRestore", "restore_logs"]


@attrs.frozen
class LogToRestore:
    """One log of a queue: its backup, its place, and up to where it is wanted."""

    source: BackupReader
    target: LogTarget
    at_target: LogReader
    """Reads what is at the place, if there is a log."""
    to: int | None


def restore_logs(logs: Mapping[int, LogToRestore], *, progress: Callable[[int], None] | None = None) -> dict[int, Restored]:
    """Write the logs of a queue, by number, and return what is in each of them; `progress` is called with the events so far.

    Raises:
        StoreUnavailable, StoreCorrupt, HistoryDropped: as `restore_log`, for one of them. What was written can be used by nothing,
            and the next run begins anew. Where some can be used already, the error says so, and the next run does the rest.
    """
    kept = _kept(logs)
    written: dict[int, WrittenLog] = {}
    before = 0

    def step(reached: int) -> None:
        if progress is not None:
            progress(before + reached)

    for number, log in logs.items():
        if number not in kept:
            written[number] = write_log(log.source, log.target, to=log.to, progress=step)
            before += written[number].restored.events
    done: dict[int, Restored] = {}
    for number, log_written in written.items():
        try:
            done[number] = log_written.finish()
        except (PerdureError, OSError) as error:
            if not done:
                raise
            raise StoreUnavailable(
                f"{len(kept) + len(done)} of {len(logs)} logs are restored and can be used, and partition {number} is not: {error} "
                "Start nothing on the queue, and run the same restore again: it keeps what is there, and goes on with the rest."
            ) from error
    return {number: done.get(number) or kept[number] for number in logs}


def _kept(logs: Mapping[int, LogToRestore]) -> dict[int, Restored]:
    """Return what is at its place already, as an earlier run has left it that was cut off between the first log and the last.

    Raises:
        StoreUnavailable: something else is at a place, or all are there.
    """
    kept: dict[int, Restored] = {}
    taken: StoreUnavailable | None = None
    for number, log in logs.items():
        state = log.source.state()
        try:
            log.target.check_empty()
        except StoreUnavailable as error:
            taken = error
            reached, chain = end_of_restored(log.source, log.to)
            if not _ends_with(log.at_target, state.store_id, reached, chain):
                raise
            spooled = sum(one.items for one in log.source.survey_spool())
            taken_in = spooled if reached == state.completed_seq else 0
            kept[number] = Restored(
                first_seq=state.first_seq,
                last_seq=reached,
                events=reached - state.first_seq + 1,
                snapshots=len(log.at_target.snapshot_seqs()),
                head=f"{reached}:{chain.hex()}",
                left_out=state.completed_seq - reached,
                spooled=taken_in,
                spooled_left_out=spooled - taken_in,
            )
    if taken is not None and len(kept) == len(logs):
        raise taken
    return kept


def _ends_with(reader: LogReader, store_id: bytes, seq: int, chain: bytes) -> bool:
    """Return whether a log is this one, and nothing has happened to it since this event."""
    try:
        reader.check_readable()
        if reader.store_id() != store_id:
            return False
        ends_so = False
        for item in reader.whole_frames():
            if isinstance(item, Stretch):
                ends_so = ends_so or (item.first_seq - 1, item.chain) == (seq, chain)
            elif item.frame.count:
                ends_so = (item.frame.last_seq, item.chain) == (seq, chain)
            elif (item.frame.last_seq, item.chain) == (seq, chain):
                ends_so = True
    except PerdureError:
        return False
    return ends_so
