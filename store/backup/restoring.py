"""Restoring: a new log from a backup, as it was at the end of the last complete run or after an earlier commit.

The frames keep their bytes, and the log its id, with which their checksums are made: heads that were noted stay valid. The new log
differs from the one that was backed up in its place and in its epoch, which jumps (`EPOCH_JUMP`).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreUnavailable
from perdure.events.public_names import public
from perdure.store.other_processes import TakesSpool
from perdure.store.survey import Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.store.backup.reader import BackupReader
    from perdure.store.protocol import LogReader, LogTarget

__all__ = ["Restored", "WrittenLog", "end_of_restored", "restore_log", "write_log"]

EPOCH_JUMP = 1 << 16
"""The epochs of a restored log are at least this much above those of the log that was backed up: no two owners share one."""
EPOCH_SPREAD = 1 << 24
"""And those of two logs that were restored from one backup are this far apart."""


@public
@attrs.frozen(kw_only=True)
class Restored:
    """What a restore has written."""

    first_seq: int
    last_seq: int
    """The last event of the new log: that of the last commit up to the moment that was asked for."""
    events: int
    snapshots: int
    head: str
    """`SEQ:HASH` of its last event, as `verify` shows it."""
    left_out: int
    """Events of the backup that came later."""
    spooled: int = 0
    """Publishes that wait beside the new log for its first owner: in spool files, or in a database's ingress."""
    spooled_left_out: int = 0
    """Publishes in spool files of the backup that are left out: the restore is to a moment before they had reached the log."""
    spooled_damaged: int = 0
    """Damaged records of spool files, each of one publish or more, that are not in the new log: a log line names each file."""
    partitions: Mapping[int, Restored] = attrs.field(factory=dict)
    """Of a whole queue, what is in each partition, by its number: each counts by itself. `events`, `snapshots`, `left_out` and
    those of spool files are sums then; `first_seq` and `last_seq` are 0, and `head` is empty."""


@attrs.frozen
class WrittenLog:
    """A restored log that is written whole, and that nothing can use before `finish`."""

    source: BackupReader
    target: LogTarget
    restored: Restored

    def finish(self) -> Restored:
        """Let the log be used; return what is in it.

        Raises:
            StoreUnavailable, StoreCorrupt: it cannot be opened, or not as it was written.
        """
        if (found := self.target.finish().last_seq) != self.restored.last_seq:
            raise StoreUnavailable(
                f"the restored log ends at {found}, and not at {self.restored.last_seq} as the backup in {self.source.path}"
            )
        return self.restored


def restore_log(
    source: BackupReader, target: LogTarget, *, to: int | None = None, progress: Callable[[int], None] | None = None
) -> Restored:
    """Write a new log that can be used, and return what is in it. See `write_log`."""
    return write_log(source, target, to=to, progress=progress).finish()


def write_log(
    source: BackupReader, target: LogTarget, *, to: int | None = None, progress: Callable[[int], None] | None = None
) -> WrittenLog:
    """Write a new log and return it; `progress` is called with each last event written.

    Args:
        source: the backup.
        target: an empty place.
        to: a sequence number; what came later is left out. Events that were committed together stay together: of a commit that ends
            later, nothing is restored.
        progress: called with each last event written.

    Raises:
        StoreUnavailable: the backup was never completed, or cannot be read; the target is not empty, or cannot be written.
        StoreCorrupt: the backup is damaged.
        HistoryDropped: the log that was backed up did not keep its history back to `to`.
    """
    state = source.state()
    target.check_empty()
    last_seq = _last_wanted(source, to)
    jump = EPOCH_JUMP + secrets.randbelow(EPOCH_SPREAD)
    first_seq, reached, chain, head, events = state.first_seq, 0, b"", "", 0
    for item in source.whole_frames():
        if isinstance(item, Stretch):
            target.begin(attrs.evolve(item, epoch=item.epoch + jump))
            first_seq, reached, chain = item.first_seq, item.first_seq - 1, item.chain
            head = f"{reached}:{chain.hex()}"
            continue
        if item.frame.last_seq > last_seq:
            break
        target.put(attrs.evolve(item, epoch=item.epoch + jump))
        reached, chain, events = item.frame.last_seq, item.chain, events + item.frame.count
        if item.frame.count:
            head = f"{reached}:{chain.hex()}"
        if progress is not None:
            progress(reached)
    if not chain or (last_seq == state.completed_seq and chain != state.completed_chain):
        msg = (
            f"the backup in {source.path} ends at {reached}, and says that it ends at {state.completed_seq}, or with another hash. "
            "`perdure verify` lists what is damaged."
        )
        raise StoreCorrupt(msg, file=str(source.path), offset=0, seq=reached + 1)
    snapshots = _put_snapshots(source, target, reached)
    spooled = sum(one.items for one in source.survey_spool())
    taken = damaged = 0
    if isinstance(target, TakesSpool) and reached == state.completed_seq:
        for name, file in source.spool_files():
            damaged += target.put_spool(name, file)
        taken = spooled
    target.flush()
    restored = Restored(
        first_seq=first_seq,
        last_seq=reached,
        events=events,
        snapshots=snapshots,
        head=head,
        left_out=state.completed_seq - reached,
        spooled=taken,
        spooled_left_out=spooled - taken,
        spooled_damaged=damaged,
    )
    return WrittenLog(source, target, restored)


def end_of_restored(source: BackupReader, to: int | None) -> tuple[int, bytes]:
    """Return the last sequence number and the chain hash of the log that `write_log` writes.

    Raises:
        As `write_log`.
    """
    last_seq, reached, chain = _last_wanted(source, to), 0, b""
    for item in source.whole_frames():
        if isinstance(item, Stretch):
            reached, chain = item.first_seq - 1, item.chain
        elif item.frame.last_seq > last_seq:
            break
        else:
            reached, chain = item.frame.last_seq, item.chain
    return reached, chain


def _last_wanted(source: BackupReader, to: int | None) -> int:
    """Return the last event that a restore up to `to` may have.

    Raises:
        StoreUnavailable, StoreCorrupt, HistoryDropped: as `write_log`.
    """
    state = source.state()
    last_seq = state.completed_seq if to is None else min(to, state.completed_seq)
    if last_seq < (earliest := _earliest(source, state.first_seq)):
        raise HistoryDropped(f"to: the backup in {source.path} knows nothing of {last_seq}: it goes back to {earliest}")
    return last_seq


def _earliest(source: LogReader, first_seq: int) -> int:
    """Return the earliest event after which the state is known."""
    return 0 if first_seq == 1 else next((seq for seq in source.snapshot_seqs() if seq >= first_seq - 1), first_seq)


def _put_snapshots(source: LogReader, target: LogTarget, last_seq: int) -> int:
    """Copy the whole snapshots up to an event, oldest first; return how many."""
    snapshots = [*source.snapshots(last_seq)][::-1]
    for snapshot in snapshots:
        target.put_snapshot(snapshot)
    return len(snapshots)
