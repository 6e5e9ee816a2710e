"""Where events are kept: the protocol of stores and readers, segment files and memory, verification and repair.

Other rooms use `EventStore` (the owner) and `LogReader` (reads without owning), and never ask which store it is. Folders, from the
top: `maintenance` (verification, repair), `backup`, `files` (a log in a folder), `format` (the layout of bytes), `disk` (system
calls).

Not here: what events mean (`events`); a frame's body is bytes.
"""

from perdure.store.addresses import (
    accept_loss,
    canonical_address,
    checked_address,
    create_tables,
    is_postgres,
    open_backup,
    open_ingress,
    open_reader,
    open_store,
    open_target,
    partition_addresses,
)
from perdure.store.backup.backing_up import Backup, back_up
from perdure.store.backup.reader import BackupReader
from perdure.store.backup.restoring import Restored, restore_log
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.history import History
from perdure.store.files.segment_store import SegmentStore
from perdure.store.maintenance.migrate import Migration, migrate
from perdure.store.maintenance.repair import Repair, repair
from perdure.store.maintenance.verify import Finding, Head, Verification, verify
from perdure.store.memory import MemoryStore
from perdure.store.protocol import EventStore, LogReader, LogTarget
from perdure.store.values import AppendInDoubt, Frame, LogSize, Recovered, RowsGone, Snapshot

__all__ = [
    "AppendInDoubt",
    "Backup",
    "BackupReader",
    "EventStore",
    "Finding",
    "FolderReader",
    "Frame",
    "Head",
    "History",
    "LogReader",
    "LogSize",
    "LogTarget",
    "MemoryStore",
    "Migration",
    "Recovered",
    "Repair",
    "Restored",
    "RowsGone",
    "SegmentStore",
    "Snapshot",
    "Verification",
    "accept_loss",
    "back_up",
    "canonical_address",
    "checked_address",
    "create_tables",
    "is_postgres",
    "migrate",
    "open_backup",
    "open_ingress",
    "open_reader",
    "open_store",
    "open_target",
    "partition_addresses",
    "repair",
    "restore_log",
    "verify",
]
