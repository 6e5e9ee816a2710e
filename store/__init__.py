"""Where events are kept: the protocol of stores and readers, and three stores: segment files, memory, PostgreSQL.

- `protocol` has `EventStore` (the owner) and `LogReader` (reads without owning); other rooms use these, and never ask which store
  it is. `other_processes` is what a store may have for those that do not own its log. `values`, `survey` and `conditions` are
  what they return. `addresses` makes a reader from an address.
- `maintenance`: verification, repair, migration. `backup`: backups.
- `files`: a log in a folder. `format`: the layout of bytes. `disk`: system calls. `spool`: what is published without an owner.
- `postgres`: a log in a database. `memory`: a log that ends with its process.
- `retention_hold` keeps old files while they are copied; `reading_through` is how an owner reads.

Not here: what events mean (`events`); a frame's body is bytes.
"""

from perdure.store.addresses import (
    accept_loss,
    canonical_address,
    checked_address,
    create_tables,
    discard_copies,
    is_postgres,
    open_backup,
    open_ingress,
    open_reader,
    open_store,
    open_target,
    partition_addresses,
    partition_owners,
    register_queue,
)
from perdure.store.backup.backing_up import Backup, back_up
from perdure.store.backup.reader import BackupReader
from perdure.store.backup.restoring import Restored, restore_log
from perdure.store.backup.restoring_queue import LogToRestore, restore_logs
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.retention import History
from perdure.store.files.segment_store import SegmentStore
from perdure.store.maintenance.migrate import Migration, migrate
from perdure.store.maintenance.repair import Repair, repair
from perdure.store.maintenance.verify import Finding, Head, Verification, verify
from perdure.store.memory import MemoryStore
from perdure.store.protocol import EventStore, LogReader, LogTarget
from perdure.store.values import AppendInDoubt, Frame, LogSize, PartitionOwner, Recovered, RowsGone, Snapshot

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
    "LogToRestore",
    "MemoryStore",
    "Migration",
    "PartitionOwner",
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
    "discard_copies",
    "is_postgres",
    "migrate",
    "open_backup",
    "open_ingress",
    "open_reader",
    "open_store",
    "open_target",
    "partition_addresses",
    "partition_owners",
    "register_queue",
    "repair",
    "restore_log",
    "restore_logs",
    "verify",
]
