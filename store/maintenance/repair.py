"""Repair: a new log with all that is whole of a damaged one and can be built upon, and a report of the rest.

The damaged log is only read. An event means nothing without those before it, or a snapshot of them: so the new log is one unbroken
run of events, and begins with the first event or where a whole snapshot reaches. Where a snapshot reaches further than any run that
can be built upon, the snapshot is kept, and the log begins behind it.

How logs are read and written is the stores' (`LogReader`, `LogTarget`); the runs are found in `runs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events import vocabulary as ev
from perdure.events.codec.wire import decode
from perdure.events.errors import PerdureError, StoreCorrupt, StoreUnavailable
from perdure.store.maintenance.runs import Run, beginning, find_runs, run_frames
from perdure.store.maintenance.verify import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.store.maintenance.runs import Runs
    from perdure.store.protocol import LogReader, LogTarget
    from perdure.store.survey import SurveyedSnapshot
    from perdure.store.values import Frame, Recovered

__all__ = ["Repair", "repair"]

IDS_MAX = 10_000


@attrs.define
class Repair:
    """What was saved, and what was not."""

    findings: list[Finding] = attrs.field(factory=list)
    """What was wrong with the old log."""
    events_kept: int = 0
    first_seq: int = 1
    """The first event of the new log; if it is not 1, a snapshot holds the state after the events before it."""
    last_seq: int = 0
    """The last event that the new log covers, by its frames or by a snapshot."""
    lost: list[tuple[int, int]] = attrs.field(factory=list)
    """Ranges of sequence numbers that are in the old log and not in the new one; the second may be 0: unknown."""
    events_left_behind: int = 0
    """Events that are whole in the old log, but not in the new one because what lies between is damaged."""
    snapshots_kept: int = 0
    bytes_left_behind: int = 0
    """Bytes of the frames of those events."""
    events_unreadable: int = 0
    """Events that are whole nowhere, as far as later ones and snapshots show that they existed."""
    bytes_unreadable: int = 0
    """Bytes of the old log's segments and snapshots that are damaged."""
    messages_lost: int = 0
    """Messages that the new log does not know: their publication is whole in the old one, after `last_seq`."""
    lost_ids: list[str] = attrs.field(factory=list)
    """Their ids, the first `IDS_MAX`."""
    events_lost: int = 0
    """Events after `last_seq`, whole or not: the new log lacks their effects. Unreadable ones may be publications."""


@attrs.frozen
class _Choice:
    """What the new log is to hold: a run, if any, and snapshots; each of the two may be what makes the other usable."""

    index: int
    """Of the run among all; -1 for none."""
    run: Run | None
    snapshots: list[int]

    @property
    def last_seq(self) -> int:
        """The last event that it covers."""
        return max([*self.snapshots[-1:], 0 if self.run is None else self.run.end_seq - 1])

    @property
    def first_seq(self) -> int:
        """The first event of its log."""
        return self.snapshots[-1] + 1 if self.run is None else self.run.first_seq


def repair(source: LogReader, target: LogTarget, *, progress: Callable[[int], None] | None = None) -> Repair:
    """Write a new log with what is whole of a damaged one and return a report; `progress` is called with each last event written.

    The new log covers as much as can be known without a gap: it holds the unbroken run of whole events that reaches furthest from
    the beginning or from a whole snapshot, under the same sequence numbers, and the whole snapshots of that part. Where a snapshot
    alone reaches further, it holds that. The old log stays as it is. Keep it: it holds what was lost, as far as it can be read.

    Raises:
        StoreUnavailable: the old log cannot be read, or changed meanwhile; or the new one cannot be written or is not empty.
        StoreCorrupt: the log's beginning was dropped, and nothing that is left can be built upon.
    """
    target.check_empty()
    result = Repair(findings=verify(source).findings)
    store_id = source.store_id() or bytes(16)
    runs = find_runs(source)
    snapshots = [snapshot for seq in source.snapshot_seqs() if (snapshot := source.survey_snapshot(seq)) is not None]
    choice = _best(runs.found, [snapshot.seq for snapshot in snapshots if not snapshot.problem])
    if choice is None and source.first_seq > 1:
        msg = (
            f"the log in {source.address} begins with {source.first_seq}, and no whole snapshot of what is whole of it is there to "
            "build upon. Restore the folder from a backup."
        )
        raise StoreCorrupt(msg, file=source.address or "", offset=0, seq=source.first_seq)
    if choice is not None:
        result.first_seq, result.snapshots_kept = choice.first_seq, len(choice.snapshots)
        result.events_kept = 0 if choice.run is None else choice.run.events
    result.last_seq = _copy(source, target, store_id, runs, choice, result, progress).last_seq
    if progress is not None:
        progress(result.last_seq)
    _count_losses(source, runs.found, snapshots, choice, result)
    result.bytes_unreadable += runs.bytes_unreadable
    return result


def _best(runs: list[Run], snapshots: list[int]) -> _Choice | None:
    """Choose what reaches furthest among all that can be built upon; of those that reach as far, what has most history."""
    choices = [_Choice(-1, None, [seq]) for seq in snapshots]
    for index, run in enumerate(runs):
        within = [seq for seq in snapshots if run.first_seq - 1 <= seq < run.end_seq]
        if run.first_seq == 1 or within:
            choices.append(_Choice(index, run, within))
    return max(choices, key=lambda choice: (choice.last_seq, -choice.first_seq), default=None)


def _copy(
    source: LogReader,
    target: LogTarget,
    store_id: bytes,
    runs: Runs,
    choice: _Choice | None,
    result: Repair,
    progress: Callable[[int], None] | None,
) -> Recovered:
    """Write the choice to the target; note in the result which messages the runs that are left behind published."""
    kept = None if choice is None else choice.run
    last_seq = 0 if choice is None else choice.last_seq
    if kept is None:
        target.begin(beginning(store_id, last_seq + 1, runs.epoch))
    else:
        target.begin(beginning(kept.store_id, kept.first_seq, runs.epoch, kept.begins_after))
    events = 0
    for index, item in run_frames(source):
        if choice is not None and index == choice.index:
            target.put(item)
            events += item.frame.count
            if progress is not None:
                progress(item.frame.last_seq)
        elif item.frame.last_seq > last_seq:
            _note_lost(item.frame, result)
    if kept is not None and events != kept.events:
        msg = f"the log in {source.address} changed while it was read, or could no longer be read. Stop its owner and try again."
        raise StoreUnavailable(msg)
    for seq in () if choice is None else choice.snapshots:
        target.put_snapshot(next(source.snapshots(seq)))
    return target.finish()


def _note_lost(frame: Frame, result: Repair) -> None:
    for ident in _published(frame):
        result.messages_lost += 1
        if len(result.lost_ids) < IDS_MAX:
            result.lost_ids.append(ident)


def _published(frame: Frame) -> Iterator[str]:
    """Yield the ids of the messages that a frame publishes."""
    if not frame.count:
        return
    try:
        batches = decode(frame.body, frame.count)
    except PerdureError:  # a newer version wrote it, perhaps: what it holds is unknown
        return
    for _, events in batches:
        yield from (event.id for event in events if isinstance(event, ev.Published))


def _count_losses(
    source: LogReader, runs: list[Run], snapshots: list[SurveyedSnapshot], choice: _Choice | None, result: Repair
) -> None:
    """Fill in, in events and bytes, what is in the old log and not in the new one."""
    left_behind = [run for run in runs if choice is None or run is not choice.run]
    result.events_left_behind = sum(run.events for run in left_behind)
    result.bytes_left_behind = sum(run.bytes for run in left_behind)
    result.bytes_unreadable = sum(snapshot.size for snapshot in snapshots if snapshot.problem)
    whole = [snapshot.seq for snapshot in snapshots if not snapshot.problem]
    first = source.first_seq
    last = max([run.end_seq - 1 for run in runs] + whole + [result.last_seq], default=0)
    result.events_unreadable = _not_covered(runs, first, last)
    result.events_lost = max(0, last - result.last_seq)
    if first < result.first_seq:
        result.lost.append((first, result.first_seq - 1))
    last_whole = max((run.end_seq - 1 for run in runs), default=0)
    if last_whole > result.last_seq or any(finding.seq > result.last_seq for finding in result.findings):
        result.lost.append((result.last_seq + 1, last_whole if last_whole > result.last_seq else 0))


def _not_covered(runs: list[Run], first: int, last: int) -> int:
    """Count the sequence numbers from `first` to `last` that are in no run."""
    missing, at = 0, first
    for run in sorted(runs, key=lambda run: run.first_seq):
        missing += max(0, min(run.first_seq, last + 1) - at)
        at = max(at, run.end_seq)
    return missing + max(0, last + 1 - at)
