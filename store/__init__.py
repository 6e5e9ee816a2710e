"""Where events are kept: the `EventStore` protocol, segment files and memory, snapshots, verification.

Knows nothing of what the events mean: bodies are bytes here.
"""

from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.history import History
from perdure.store.files.segment_store import SegmentStore
from perdure.store.maintenance.verify import Finding, Verification, verify
from perdure.store.memory import MemoryStore
from perdure.store.protocol import EventStore, Frame, Recovered, Snapshot

__all__ = [
    "EventStore",
    "Finding",
    "FolderReader",
    "Frame",
    "History",
    "MemoryStore",
    "Recovered",
    "SegmentStore",
    "Snapshot",
    "Verification",
    "verify",
]
