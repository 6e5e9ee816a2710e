"""Where events are kept: the `EventStore` protocol, segment files and memory, snapshots, verification.

Knows nothing of what the events mean: bodies are bytes here.
"""

from perdure.store.folder import SegmentStore
from perdure.store.history import History
from perdure.store.memory import MemoryStore
from perdure.store.protocol import EventStore, Frame, Recovered, Snapshot
from perdure.store.reader import FolderReader
from perdure.store.verify import Finding, Verification, verify

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
