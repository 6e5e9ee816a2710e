"""Where events are kept: the protocol of stores and readers, segment files and memory, verification and repair.

Knows nothing of what the events mean: bodies are bytes here. `EventStore` and `LogReader` are what other rooms use.
"""

from perdure.store.addresses import canonical_address, open_reader, open_target
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.history import History
from perdure.store.files.segment_store import SegmentStore
from perdure.store.maintenance.repair import Repair, repair
from perdure.store.maintenance.verify import Finding, Head, Verification, verify
from perdure.store.memory import MemoryStore
from perdure.store.protocol import EventStore, Frame, LogReader, LogSize, LogTarget, Recovered, Snapshot

__all__ = [
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
    "Recovered",
    "Repair",
    "SegmentStore",
    "Snapshot",
    "Verification",
    "canonical_address",
    "open_reader",
    "open_target",
    "repair",
    "verify",
]
