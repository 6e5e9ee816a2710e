"""`perdure.backup` and `perdure.restore`: a log goes into a backup, run after run, and comes back as it was at a moment.

So do all logs of a queue. Moments become sequence numbers here; what is copied and checked is in `perdure.store.backup`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.arguments.choices import check_callable, check_flag
from perdure.arguments.parts import check_folder
from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public
from perdure.operations.audit import Audit
from perdure.operations.queue_logs import copied_logs, logs_of
from perdure.operations.sources import readable
from perdure.store import (
    Backup,
    BackupReader,
    LogToRestore,
    Restored,
    back_up,
    is_postgres,
    open_backup,
    open_reader,
    open_target,
    restore_log,
    restore_logs,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from perdure.arguments.moments import Moment
    from perdure.store import LogReader

__all__ = ["backup", "restore"]


@public
def backup(
    source: str | os.PathLike[str] | LogReader,
    target: str | os.PathLike[str],
    *,
    check: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Backup:
    """Copy what is new in a log into a backup, and return what the backup holds; also beside a live system. In any thread.

    Takes no lock of the source, and keeps it from dropping history meanwhile. A run that was cut off at any point is completed by
    the next one.

    Args:
        source: a data folder, `postgresql://…#QUEUE/PARTITION`, or a store. Of `postgresql://…#QUEUE` with several partitions all
            are copied, one after the other.
        target: a folder: empty, not there yet, or with earlier backups of the same log. Of a queue of several partitions each has a
            backup of its own, in a folder of `target` that is named by its number.
        check: read all of the log, and not only what is new, so that an edit of what earlier runs have copied is found too.
        progress: called with the number of each last event copied; of a queue, with a number that grows from log to log.

    Raises:
        StoreUnavailable: the log cannot be read, or the backup cannot be written, or it holds something else.
        StoreCorrupt: the log is damaged, or its history is not the one that earlier runs have copied.
        HistoryDropped: what follows on the last run was dropped before it could be copied.
        StoreLocked: another process writes into the backup.
        Of a queue the first partition that cannot be copied ends the run; those before it are copied.
    """
    check_callable("progress", progress)
    check_flag("check", check)
    folder = check_folder(target, "target")
    logs = logs_of(source) if isinstance(source, str) and is_postgres(source) else {}
    if not logs:
        return back_up(readable("source", source), open_backup(folder), check=check, progress=progress)
    done: dict[int, Backup] = {}
    for number, log in logs.items():
        before = sum(one.events for one in done.values())
        step = None if progress is None else partial(_step, progress, before)
        done[number] = back_up(readable("source", log), open_backup(Path(folder) / str(number)), check=check, progress=step)
    return Backup(
        first_seq=0,
        last_seq=0,
        events=sum(one.events for one in done.values()),
        bytes=sum(one.bytes for one in done.values()),
        snapshots=sum(one.snapshots for one in done.values()),
        head="",
        spooled=sum(one.spooled for one in done.values()),
        partitions=done,
    )


def _step(progress: Callable[[int], None], before: int, reached: int) -> None:
    """Call `progress` for one of several logs, with what was done before it added."""
    progress(before + reached)


@public
def restore(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    to: Moment | None = None,
    progress: Callable[[int], None] | None = None,
) -> Restored:
    """Make a new data folder of a backup, and return what is in it. In any thread.

    The new log has the id, the history and the heads of the one that was backed up. It differs in its place and its epochs. Both
    would handle what waits in them, so start only one, or pause one first.

    Args:
        source: the backup. Of a queue of several partitions, the folder with a backup of each, as `backup` makes it.
        target: a folder that is empty or not there yet, or a queue that is not in its database yet. For a queue, `postgresql://…#QUEUE`,
            or a folder that gets one with a log for each partition.
        to: a sequence number or moment (see `Audit.events`); what came later is left out. Events that were committed together stay
            together. Without it, everything up to the end of the last complete run is restored. For a queue only a moment.
        progress: called with the number of each last event written; of a queue, with a number that grows from log to log.

    Of a queue all logs are written before the first can be used: a restore that fails leaves none that any System starts on, and is
    run again. One that is cut off while it makes them usable, one after the other, is completed by the next run.

    Raises:
        StoreUnavailable: the backup was never completed, or the target is not empty, or one of them cannot be read or written.
        StoreCorrupt: the backup is damaged.
        HistoryDropped: the backup does not go back to that moment.
        InvalidMessage: `to` is no position in the log.
    """
    check_callable("progress", progress)
    place, folder = check_folder(target, "target"), check_folder(source, "source")
    open_backup(folder)  # refuses what is no folder
    if logs_of(folder):
        return _restore_queue(folder, place, to, progress)
    reader = _backup_in(folder)
    return restore_log(reader, open_target(place), to=_seq_at(reader, to, folder), progress=progress)


def _restore_queue(source: str, target: str, to: Moment | None, progress: Callable[[int], None] | None) -> Restored:
    """Restore all logs of a queue, or none."""
    if isinstance(to, int):
        raise InvalidMessage("to: each partition counts by itself; give a time, or restore one partition")
    readers = {number: _backup_in(log) for number, log in logs_of(source).items()}
    seqs = _seqs_at(readers, to, source)
    logs = {
        number: LogToRestore(readers[number], open_target(place), open_reader(place), seqs[number])
        for number, (_, place) in copied_logs(source, target).items()
    }
    done = restore_logs(logs, progress=progress)
    return Restored(
        first_seq=0,
        last_seq=0,
        events=sum(one.events for one in done.values()),
        snapshots=sum(one.snapshots for one in done.values()),
        head="",
        left_out=sum(one.left_out for one in done.values()),
        spooled=sum(one.spooled for one in done.values()),
        spooled_left_out=sum(one.spooled_left_out for one in done.values()),
        spooled_damaged=sum(one.spooled_damaged for one in done.values()),
        partitions=done,
    )


def _backup_in(folder: str) -> BackupReader:
    reader = BackupReader(folder)
    reader.check_readable()
    return reader


def _seq_at(reader: BackupReader, to: Moment | None, where: str) -> int | None:
    """Return up to where a log is restored; None: all of it.

    Raises:
        InvalidMessage: nothing had happened in it then.
    """
    seq = None if to is None else Audit(store=reader).seq_at("to", to)
    if seq is not None and seq < reader.first_seq:
        msg = f"to: nothing had happened then: the backup in {where} begins with sequence number {reader.first_seq}"
        raise InvalidMessage(msg)
    return seq


def _seqs_at(readers: Mapping[int, BackupReader], to: Moment | None, where: str) -> dict[int, int | None]:
    """Return up to where each log of a queue is restored; one in which nothing had happened then becomes an empty one.

    Raises:
        InvalidMessage: nothing had happened in any of them, or one does not go back to then.
    """
    seqs: dict[int, int | None] = {}
    for number, reader in readers.items():
        try:
            seqs[number] = _seq_at(reader, to, str(reader.path))
        except InvalidMessage:
            if reader.first_seq > 1:
                raise
            seqs[number] = 0
    if not any(seq is None or seq for seq in seqs.values()):
        raise InvalidMessage(f"to: nothing had happened then: the backups in {where} begin later")
    return seqs
