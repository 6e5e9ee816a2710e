"""Backing up: what is new in a log goes into a backup, once it is clear that it continues what is there.

Any log that can be read can be backed up, also beside a live owner. How it is read is the stores' (`LogReader.whole_frames`), how
it is written `folder`'s.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreUnavailable
from perdure.events.public_names import public
from perdure.store.other_processes import HasSpool
from perdure.store.spool.spool_file import HasSpoolFolder
from perdure.store.survey import Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perdure.store.backup.folder import BackupFolder
    from perdure.store.backup.state import BackupState
    from perdure.store.protocol import LogReader
    from perdure.store.survey import WholeFrame

__all__ = ["Backup", "back_up"]


@public
@attrs.frozen(kw_only=True)
class Backup:
    """What a backup holds now, and what its last run has added."""

    first_seq: int
    """The first event in it: 1, unless the log's history was dropped before the first run."""
    last_seq: int
    """The last event in it."""
    events: int
    """Events that this run has added."""
    bytes: int
    """Bytes of their frames."""
    snapshots: int
    """Snapshots that are in it now."""
    head: str
    """`SEQ:HASH` of its last event, as `verify` of the log shows it."""
    spooled: int = 0
    """Publishes that waited in spool files for an owner when the run began; the backup has these files."""
    partitions: Mapping[int, Backup] = attrs.field(factory=dict)
    """Of a whole queue, what the backup of each partition holds, by its number: each counts by itself. `events`, `bytes`,
    `snapshots` and `spooled` are sums then; `first_seq` and `last_seq` are 0, and `head` is empty."""


def back_up(
    source: LogReader, target: BackupFolder, *, check: bool = False, progress: Callable[[int], None] | None = None
) -> Backup:
    """Copy what is new in a log and return what the backup holds; `progress` is called with each last event copied.

    The source is read as it is, without its lock; it may grow meanwhile. What is copied outlasts a power cut there as well. With
    `check` all of the source is read, and not only what is new: an edit of what earlier runs have copied is found too.

    Raises:
        StoreUnavailable: one of the two cannot be read or written, or the backup is another store's.
        StoreCorrupt: the source is damaged, or its history is not the one that earlier runs have copied.
        HistoryDropped: what follows on the last run was dropped before it could be copied.
        StoreLocked: another run writes into this backup.
    """
    source.check_readable()
    _check_apart(source, target)
    store_id = source.store_id()
    if store_id is None:
        raise StoreUnavailable(f"{source.address} holds no log")
    with contextlib.closing(target):
        begun = target.begin(store_id)
        # First what is spooled: an owner may take it in and remove it meanwhile, and then the log has it. Both count once.
        spooled = _copy_spool(source, target) if isinstance(source, HasSpool) else 0
        with source.hold_history():
            events, size = _copy(source, target, begun, progress, check=check)
            _copy_snapshots(source, target)
        done = target.finish()
        return Backup(
            first_seq=done.first_seq,
            last_seq=done.last_seq,
            events=events,
            bytes=size,
            snapshots=len(target.snapshot_seqs()),
            head=f"{done.head_seq}:{done.head_chain.hex()}",
            spooled=spooled,
        )


def _check_apart(source: LogReader, target: BackupFolder) -> None:
    """Raise if a backup is to lie in the folder that it is of, where what ends the one ends the other.

    Raises:
        StoreUnavailable: it is.
    """
    if isinstance(source, HasSpoolFolder) and target.path.resolve().is_relative_to(source.path.resolve()):
        msg = (
            f"{target.path} lies in the data folder {source.path} itself; name a folder elsewhere, on another disk if there is one"
        )
        raise StoreUnavailable(msg)


def _copy_spool(source: HasSpool, target: BackupFolder) -> int:
    """Copy what processes have published while nothing owned the log; return how many publishes that is."""
    for name, file in source.spool_files():
        target.put_spool(name, file)
    return target.count_spooled()


def _copy(
    source: LogReader, target: BackupFolder, begun: BackupState, progress: Callable[[int], None] | None, *, check: bool
) -> tuple[int, int]:
    """Copy the frames that the backup does not have; return how many events, and how many bytes."""
    events = size = 0
    for frame in _new_frames(source, target, begun, check=check):
        target.put(frame)
        events += frame.frame.count
        size += len(frame.raw)
        if progress is not None:
            progress(frame.frame.last_seq)
    return events, size


def _new_frames(source: LogReader, target: BackupFolder, begun: BackupState, *, check: bool) -> Iterator[WholeFrame]:
    """Yield the frames behind the last one of a backup, once that is found where it was.

    Raises:
        HistoryDropped, StoreCorrupt: as `back_up`.
    """
    where, last_seq = source.address or "the log", begun.last_seq
    joined = False
    # Each frame stands for all before it: a history that leads to the same hash is the same.
    for item in source.whole_frames(0 if check else last_seq):
        if isinstance(item, Stretch):
            if not begun.begins_after:
                target.begin_log(item)
                joined = True
            elif item.first_seq > last_seq + 1:
                msg = (
                    f"{where} begins with {item.first_seq} now, and the backup ends at {last_seq}: what is between was dropped or "
                    "archived before it was copied. Begin another one in an empty folder; run it more often, or keep more history."
                )
                raise HistoryDropped(msg)
            else:
                joined = (item.first_seq - 1, item.chain) == (last_seq, begun.chain)
        elif joined:
            yield item
        elif (item.frame.last_seq, item.chain) == (last_seq, begun.chain):
            joined = True
        elif item.frame.last_seq > last_seq:
            break
    if not joined:
        msg = (
            f"the history of {where} up to {last_seq} is not the one that the backup has: it was edited, cut back or restored to "
            "an earlier moment since. Nothing was copied. Keep the backup, and begin another one in an empty folder."
        )
        raise StoreCorrupt(msg, file=where, offset=0, seq=last_seq)


def _copy_snapshots(source: LogReader, target: BackupFolder) -> None:
    """Copy the newest snapshot; of a log that begins later than with event 1, the oldest too, if the backup has none yet.

    Raises:
        StoreUnavailable: the log begins later, and no whole snapshot holds what was before.
    """
    state, present = target.state, target.snapshot_seqs()
    found = source.snapshots(state.last_seq)
    newest = next(found, None)
    if newest is not None and newest.seq >= state.first_seq - 1:
        target.put_snapshot(newest)
    if state.first_seq > 1 and not any(state.first_seq - 1 <= seq <= state.last_seq for seq in present):
        oldest = newest
        for snapshot in found:
            oldest = snapshot if snapshot.seq >= state.first_seq - 1 else oldest
        if oldest is None or oldest.seq < state.first_seq - 1:
            msg = f"{source.address} begins with {state.first_seq}, and no whole snapshot holds what was before. Try again."
            raise StoreUnavailable(msg)
        target.put_snapshot(oldest)
