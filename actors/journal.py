"""The journal: owns the log, and puts what all actors decide into one order, one frame and one sync (group commit).

It decides nothing and understands no fact; it only knows who folds what (`AUDIENCE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.actor import Actor
from perdure.actors.messages import Append, Committed, Recall, Recalled, Settle
from perdure.events import vocabulary as ev
from perdure.events.errors import StoreUnavailable
from perdure.events.wire import encode

if TYPE_CHECKING:
    from perdure.actors.messages import Effect
    from perdure.actors.stage import Stage

__all__ = ["Journal"]

AUDIENCE = {ev.DeadLettered: "dead_letters", ev.Replayed: "dead_letters", ev.Purged: "dead_letters"}
"""Who is told of facts that another decides. (Snapshots and audit read the log itself.)"""

FRAME_EVENTS_MAX = 50_000


class Journal(Actor):
    """Writes. Its own death is the answer to any I/O error: a file whose sync failed is never trusted or synced again."""

    idle_after_s = 0.2

    def __init__(self, stage: Stage, name: str, generation: int) -> None:
        super().__init__(stage, name, generation)
        self.store = stage.store
        self.terms: dict[str, int] = {}
        self.unsynced = False
        self.synced_seq = 0

    def on_start(self) -> None:
        """Open the log anew, unless this is the first journal and the system has just opened it."""
        if self.generation > 1:
            self.store.reopen(void_after=self.stage.void_after)
            self.stage.void_after = None
        self.synced_seq = self.store.last_seq
        self.stage.journal_up(self.generation)

    def on_batch(self, messages: list[Any]) -> None:
        """Put all that waits on record: one frame as a rule, one sync if anyone waits for it."""
        appends: list[Append] = []
        for message in messages:
            match message:
                case Append():
                    # Of an earlier term: its writer is gone, and its successor has folded the log without this.
                    if self.terms.get(message.writer) == message.term:
                        appends.append(message)
                case Recall():
                    self._commit(appends)
                    appends = []
                    if self.terms.get(message.writer, 0) < message.term:
                        self.terms[message.writer] = message.term
                        self.stage.tell(message.writer, Recalled(message.term, self.store.last_seq))
        self._commit(appends)

    def on_idle(self) -> None:
        """Sync the bookkeeping that nobody waits for, and seal the last frame against being taken for a torn one."""
        self._sync([])
        self.store.seal()

    def on_stop(self) -> None:
        """Have everything on disk; who opened the log closes it."""
        self._sync([])

    def _commit(self, appends: list[Append]) -> None:
        waiting: list[Effect] = []
        start = 0
        while start < len(appends):
            end, events = start, 0
            while end < len(appends) and (end == start or events + len(appends[end].events) <= FRAME_EVENTS_MAX):
                events += len(appends[end].events)
                end += 1
            frame = appends[start:end]
            try:
                if events:
                    self._write(frame, events)
            except StoreUnavailable as error:
                self._refuse([effect for append in frame for effect in (*append.written, *append.synced)], error)
                self._refuse([effect for append in appends[end:] for effect in (*append.written, *append.synced)], error)
                self._doubt(waiting)
                raise
            seq = self.store.last_seq
            for append in frame:
                for effect in append.written:
                    effect.release(seq)
                waiting += append.synced
            start = end
        if waiting:
            self._sync(waiting)
            seq = self.store.last_seq
            for effect in waiting:
                effect.release(seq)

    def _write(self, frame: list[Append], count: int) -> None:
        first_seq = self.store.last_seq + 1
        body = encode([(append.at_us, append.events) for append in frame if append.events])
        self.store.append(body, count, expected_seq=first_seq)
        self.unsynced = True
        seq = first_seq
        told: dict[str, list[tuple[int, int, ev.Event]]] = {}
        for append in frame:
            if append.writer == "queue":
                for i, event in enumerate(append.events):
                    audience = AUDIENCE.get(event.__class__)
                    if audience is not None:
                        told.setdefault(audience, []).append((seq + i, append.at_us, event))
            seq += len(append.events)
        for audience, facts in told.items():
            self.stage.tell(audience, Committed(facts))
        self.stage.grown(self.store.last_seq)

    def _sync(self, waiting: list[Effect]) -> None:
        if not self.unsynced:
            return
        if self.stage.tuning.durability == "fsync" or not waiting:
            try:
                self.store.sync()
            except StoreUnavailable:
                self._doubt(waiting)
                self.stage.void_after = self.synced_seq
                raise
            self.unsynced = False
            self.synced_seq = self.store.last_seq

    def _doubt(self, effects: list[Effect]) -> None:
        """Remember of requests that they were written and not synced: only the next journal can say what became of them."""
        for effect in effects:
            if isinstance(effect, Settle):
                effect.request.doubts += 1

    def _refuse(self, effects: list[Effect], error: StoreUnavailable) -> None:
        """Tell those outside that their frame was not written; what is inside waits for the next journal."""
        for effect in effects:
            if isinstance(effect, Settle) and effect.request.from_outside and not effect.request.doubts:
                self.stage.desk.refuse(effect.request, StoreUnavailable(*error.args))
