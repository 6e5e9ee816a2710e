"""An event store in memory, for tests and for queues that need not outlive their process. Keeps the store's whole contract.

It survives `close` and `open` of the same object, so a test can restart a system on it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

from perdure.events.errors import StoreLocked, StoreUnavailable
from perdure.store.format import frame as fr
from perdure.store.protocol import Frame, Recovered, Snapshot
from perdure.store.retention_hold import Hold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["MemoryStore"]


class MemoryStore:
    """An `EventStore` that keeps its frames in a list."""

    def __init__(self, *, snapshots_kept: int = 2, drop_history: bool = False) -> None:
        self.last_seq = self.synced_seq = 0
        self.epoch = 0
        self.snapshots_kept = snapshots_kept
        self.drop_history = drop_history
        self._frames: list[Frame] = []
        self._ends: list[int] = []
        self._snapshots: dict[int, Snapshot] = {}
        self._open = False
        self._lock = threading.Lock()
        self._hold = Hold(lambda: None)

    def open(self) -> Recovered:
        """See `EventStore.open`."""
        with self._lock:
            if self._open:
                msg = "this store in memory is in use by another system of this process; stop that one first"
                raise StoreLocked(msg)
            self._open = True
        self.epoch += 1
        return Recovered(self.last_seq, self.epoch, 1, created=self.epoch == 1)

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """See `EventStore.reopen`."""
        self._check_open()
        # A writer that died between two lines may have left a frame that `last_seq` does not count yet.
        self._ends = [frame.last_seq for frame in self._frames]
        self.last_seq = self._ends[-1] if self._ends else 0
        cut_from = None
        while void_after is not None and self.last_seq > void_after:
            frame = self._frames.pop()
            self._ends.pop()
            self.last_seq = frame.first_seq - 1
            cut_from = frame.first_seq
        self._snapshots = {seq: snapshot for seq, snapshot in self._snapshots.items() if seq <= self.last_seq}
        self.epoch += 1
        return Recovered(self.last_seq, self.epoch, 1, cut_from_seq=cut_from)

    def append(self, body: bytes, count: int, *, expected_seq: int) -> None:
        """See `EventStore.append`."""
        self._check_open()
        if expected_seq != self.last_seq + 1:
            msg = f"a frame for sequence {expected_seq} where {self.last_seq + 1} is next: its writer has lost step with the log"
            raise ValueError(msg)
        if len(body) > fr.FRAME_BYTES_MAX or not 0 < count <= fr.COUNT_MAX:
            msg = f"a frame of {count} events and {len(body)} bytes is past the bound of {fr.COUNT_MAX} and {fr.FRAME_BYTES_MAX}"
            raise ValueError(msg)
        with self._lock:
            self._frames.append(Frame(expected_seq, count, body))
            self._ends.append(expected_seq + count - 1)
        self.last_seq += count

    def sync(self) -> None:
        """See `EventStore.sync`: memory is as durable as it gets."""
        self._check_open()
        self.synced_seq = self.last_seq

    def seal(self) -> None:
        """See `EventStore.seal`: nothing rots here."""
        self._check_open()

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `EventStore.frames`."""
        with self._lock:
            frames, i = self._frames, bisect_right(self._ends, after)
        while i < len(frames) and (until is None or frames[i].first_seq <= until):
            yield frames[i]
            i += 1

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """See `EventStore.save_snapshot`."""
        self._check_open()
        kept = sorted({**self._snapshots, snapshot.seq: Snapshot(snapshot.seq, snapshot.body)}.items())
        with self._hold.dropping() as may_drop:
            self._snapshots = dict(kept[-self.snapshots_kept :] if may_drop else kept)

    @property
    def first_seq(self) -> int:
        """See `EventStore.first_seq`."""
        return self._frames[0].first_seq if self._frames else 1

    def retire_history(self) -> int:
        """See `EventStore.retire_history`: a frame is the segment here."""
        self._check_open()
        kept = sorted(self._snapshots)
        if not self.drop_history or len(kept) < self.snapshots_kept:
            return 0
        with self._hold.dropping() as may_drop, self._lock:
            if not may_drop:
                return 0
            gone = min(bisect_right(self._ends, kept[0]), len(self._frames) - 1)  # the last one says where the log ends
            self._frames, self._ends = self._frames[gone:], self._ends[gone:]  # new lists: who reads the old ones reads on
        return gone

    def hold_history(self) -> AbstractContextManager[None]:
        """See `EventStore.hold_history`."""
        return self._hold.held()

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `EventStore.snapshots`."""
        for seq in sorted(self._snapshots, reverse=True):
            if at_most is None or seq <= at_most:
                yield self._snapshots[seq]

    def spill(self) -> None:
        """See `EventStore.spill`: there is only memory."""

    @property
    def bytes_on_disk(self) -> int:
        """The size of all frames and snapshots in bytes, uncompressed."""
        return sum(len(f.body) for f in self._frames) + sum(len(s.body) for s in self._snapshots.values())

    def close(self) -> None:
        """See `EventStore.close`."""
        self.abandon()

    def abandon(self) -> None:
        """See `EventStore.abandon`."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            msg = "this store in memory is not open"
            raise StoreUnavailable(msg)
