"""An event store in memory, for tests and for queues that need not outlive their process. It keeps the whole contract of a store.

It survives `close` and `open` of the same object, so a test can restart a system on it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from perdure.events.errors import StoreLocked, StoreUnavailable
from perdure.events.public_names import public
from perdure.store.disk.forked_locks import lock_of
from perdure.store.format import frame as fr
from perdure.store.other_processes import READ_BYTES
from perdure.store.retention_hold import RetentionHold
from perdure.store.survey import Stretch, SurveyedSnapshot, WholeFrame
from perdure.store.values import Frame, LogSize, Recovered, RowsGone, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from perdure.events.errors import OwnershipLost

__all__ = ["MemoryIngress", "MemoryStore"]

STORE_ID = bytes(16)
FILE = "memory"


@public
class MemoryStore:
    """An `EventStore` that keeps its frames in a list."""

    def __init__(self, *, snapshots_kept: int = 2, drop_history: bool = False) -> None:
        self.last_seq = self.synced_seq = 0
        self.epoch = 0
        self.snapshots_kept = snapshots_kept
        self.drop_history = drop_history
        self._frames: list[Frame] = []
        self._ends: list[int] = []
        self._begins_after = fr.chain_after(STORE_ID)
        """Chain hash before the first frame that is kept."""
        self._snapshots: dict[int, Snapshot] = {}
        self._open = False
        self._lock = lock_of(self, "_lock")
        self.rows: dict[int, bytes] = {}
        """What was published past the owner; see `MemoryIngress`."""
        self._taken: dict[int, dict[int, bytes]] = {}
        """By the first event of the last frame that took rows in, these rows: they come back if it is voided."""
        self._hold = RetentionHold(lambda: None)

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
            self.rows.update(self._taken.pop(frame.first_seq, {}))
        self._snapshots = {seq: snapshot for seq, snapshot in self._snapshots.items() if seq <= self.last_seq}
        self.epoch += 1
        return Recovered(self.last_seq, self.epoch, 1, cut_from_seq=cut_from)

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:  # noqa: ARG002 - memory is as durable as it gets
        """See `EventStore.append`."""
        self._check_open()
        if expected_seq != self.last_seq + 1:
            msg = f"a frame for sequence {expected_seq} where {self.last_seq + 1} is next: its writer has lost step with the log"
            raise ValueError(msg)
        if len(body) > fr.FRAME_BYTES_MAX or not 0 < count <= fr.COUNT_MAX:
            msg = f"a frame of {count} events and {len(body)} bytes is past the bound of {fr.COUNT_MAX} and {fr.FRAME_BYTES_MAX}"
            raise ValueError(msg)
        if not all(row in self.rows for row in taken):
            raise RowsGone(f"rows {sorted({*taken} - {*self.rows})} of the ingress are not there any more")
        with self._lock:
            if taken:
                self._taken = {expected_seq: {row: self.rows.pop(row) for row in taken}}
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

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """See `EventStore.save_snapshot`."""
        self._check_open()
        kept = sorted({**self._snapshots, snapshot.seq: Snapshot(snapshot.seq, snapshot.body)}.items())
        with self._hold.dropping() as may_drop:
            self._snapshots = dict(kept[-self.snapshots_kept :] if may_drop else kept)

    def retire_history(self) -> int:
        """See `EventStore.retire_history`: each frame counts as a segment."""
        self._check_open()
        kept = sorted(self._snapshots)
        if not self.drop_history or len(kept) < self.snapshots_kept:
            return 0
        with self._hold.dropping() as may_drop, self._lock:
            if not may_drop:
                return 0
            gone = min(bisect_right(self._ends, kept[0]), len(self._frames) - 1)  # the last one says where the log ends
            for whole in _packed(self._frames[:gone], self._begins_after):
                self._begins_after = whole.chain
            self._frames, self._ends = self._frames[gone:], self._ends[gone:]  # new lists: readers of the old ones go on
        return gone

    def hold_history(self) -> AbstractContextManager[None]:
        """See `EventStore.hold_history`."""
        return self._hold.held()

    def watch_ownership(self, lost: Callable[[OwnershipLost], None]) -> None:
        """See `EventStore.watch_ownership`: no other process can reach it."""

    def spill(self) -> None:
        """See `EventStore.spill`: there is only memory."""

    def separate_reader(self) -> MemoryStore:
        """See `EventStore.separate_reader`: a forked child has a copy of this object."""
        return self

    # --- reading ---------------------------------------------------------------------------------------------------------

    address: None = None
    """See `LogReader.address`: no other process can read it."""

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""
        return self._frames[0].first_seq if self._frames else 1

    def check_readable(self) -> None:
        """See `LogReader.check_readable`: memory always is."""

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`."""
        with self._lock:
            frames, i = self._frames, bisect_right(self._ends, after)
        while i < len(frames) and (until is None or frames[i].first_seq <= until):
            yield frames[i]
            i += 1

    def whole_frames(self, after: int = 0, *, synced: bool = True) -> Iterator[Stretch | WholeFrame]:  # noqa: ARG002 - nothing is synced by a reader
        """See `LogReader.whole_frames`."""
        for item in self.survey():
            if isinstance(item, Stretch) or item.frame.last_seq >= after:
                yield item

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`."""
        kept = self._snapshots
        for seq in sorted(kept, reverse=True):
            if at_most is None or seq <= at_most:
                yield kept[seq]

    def snapshot_seqs(self) -> list[int]:
        """See `LogReader.snapshot_seqs`."""
        return sorted(self._snapshots)

    def size(self) -> LogSize:
        """See `LogReader.size`: the bytes are uncompressed, and all frames are one segment."""
        frames, snapshots = self._frames, self._snapshots
        total = sum(len(frame.body) for frame in [*frames]) + sum(len(snapshot.body) for snapshot in snapshots.values())
        return LogSize(total, 1, len(snapshots))

    def survey(self) -> Iterator[Stretch | WholeFrame]:
        """See `LogReader.survey`. Nothing rots in memory; the chain is made of the bytes that a segment file would hold."""
        with self._lock:
            frames, begins_after = [*self._frames], self._begins_after
        first_seq = frames[0].first_seq if frames else 1
        yield Stretch(FILE, STORE_ID, first_seq, 1, begins_after, 0, restarts=True)
        yield from _packed(frames, begins_after)

    def survey_snapshot(self, seq: int) -> SurveyedSnapshot | None:
        """See `LogReader.survey_snapshot`."""
        snapshot = self._snapshots.get(seq)
        return None if snapshot is None else SurveyedSnapshot(FILE, seq, len(snapshot.body))

    def store_id(self) -> bytes:
        """See `LogReader.store_id`."""
        return STORE_ID

    def exposure(self) -> None:
        """See `LogReader.exposure`: no other process can reach it."""

    # --- closing ---------------------------------------------------------------------------------------------------------

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


def _packed(frames: list[Frame], prev: bytes) -> Iterator[WholeFrame]:
    """Yield frames with the bytes and the hash chain that they would have in a segment file."""
    crc_seed, offset = fr.seed(STORE_ID), 0
    for frame in frames:
        raw, chain = fr.pack(
            body=frame.body, count=frame.count, first_seq=frame.first_seq, epoch=1, unsynced=0, prev=prev, crc_seed=crc_seed
        )
        yield WholeFrame(FILE, offset, raw, frame, 1, prev, chain, follows=True)
        offset, prev = offset + len(raw), chain


class MemoryIngress:
    """The ingress of a store in memory, for another part of this process; see `perdure.store.protocol.Ingress`."""

    def __init__(self, store: MemoryStore) -> None:
        self._rows = store.rows
        self._next = max(self._rows, default=0) + 1

    def add(self, bodies: Sequence[bytes], wall_us: int | None = None) -> None:  # noqa: ARG002 - there is one clock
        """See `Ingress.add`."""
        for body in bodies:
            self._rows[self._next] = body
            self._next += 1

    def read(self, after: int, most: int, *, most_bytes: int = READ_BYTES) -> list[tuple[int, bytes]]:
        """See `Ingress.read`."""
        found: list[tuple[int, bytes]] = []
        size = 0
        for row in sorted(self._rows):
            if row > after and len(found) < most and size < most_bytes:
                found.append((row, self._rows[row]))
                size += len(self._rows[row])
        return found

    def read_timed(self, after: int, most: int, wall_us: Callable[[], int]) -> list[tuple[int, bytes, int]]:  # noqa: ARG002 - one clock
        """See `Ingress.read_timed`."""
        return [(row, body, 0) for row, body in self.read(after, most)]

    def remove(self, rows: Sequence[int]) -> None:
        """See `Ingress.remove`."""
        for row in rows:
            self._rows.pop(row, None)

    def watch(self, wake: Callable[[], None]) -> None:
        """See `Ingress.watch`: no hint comes."""

    def rest(self) -> bool:
        """See `Ingress.rest`: rows must be looked for."""
        return False

    def close(self) -> None:
        """See `Ingress.close`."""
