"""`perdure.backup` and `perdure.restore`: a log goes into a backup, run after run, and comes back as it was at a moment.

Moments become sequence numbers here; what is copied and checked is in `perdure.store.backup`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.choices import check_callable, check_flag
from perdure.arguments.parts import check_folder
from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public
from perdure.operations.audit import Audit
from perdure.operations.sources import readable
from perdure.store import Backup, BackupReader, Restored, back_up, open_backup, open_target, restore_log

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

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
        source: a data folder, `postgresql://…#QUEUE/PARTITION`, or a store.
        target: a folder: empty, not there yet, or with earlier backups of the same log.
        check: read all of the log, and not only what is new, so that an edit of what earlier runs have copied is found too.
        progress: called with the number of each last event copied.

    Raises:
        StoreUnavailable: the log cannot be read, or the backup cannot be written, or it holds something else.
        StoreCorrupt: the log is damaged, or its history is not the one that earlier runs have copied.
        HistoryDropped: what follows on the last run was dropped before it could be copied.
        StoreLocked: another process writes into the backup.
    """
    check_callable("progress", progress)
    return back_up(
        readable("source", source),
        open_backup(check_folder(target, "target")),
        check=check_flag("check", check),
        progress=progress,
    )


@public
def restore(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    to: Moment | None = None,
    progress: Callable[[int], None] | None = None,
) -> Restored:
    """Make a new data folder of a backup, and return what is in it. In any thread.

    The new log has the id, the history and the heads of the one that was backed up. It is told apart by its place and by its
    epochs. Both would handle what waits in them, so start only one, or pause one first.

    Args:
        source: the backup.
        target: a folder that is empty or not there yet, or a queue that is not in its database yet.
        to: a sequence number or moment (see `Audit.events`); what came later is left out. Events that were committed together stay
            together. Without it, everything up to the end of the last complete run is restored.
        progress: called with the number of each last event written.

    Raises:
        StoreUnavailable: the backup was never completed, or the target is not empty, or one of them cannot be read or written.
        StoreCorrupt: the backup is damaged.
        HistoryDropped: the backup does not go back to that moment.
        InvalidMessage: `to` is no position in the log.
    """
    check_callable("progress", progress)
    place = open_target(check_folder(target, "target"))
    reader = BackupReader(check_folder(source, "source"))
    reader.check_readable()
    seq = None if to is None else Audit(store=reader).seq_at("to", to)
    if seq is not None and seq < reader.first_seq:
        msg = f"to: nothing had happened then: the backup in {source} begins with sequence number {reader.first_seq}"
        raise InvalidMessage(msg)
    return restore_log(reader, place, to=seq, progress=progress)
