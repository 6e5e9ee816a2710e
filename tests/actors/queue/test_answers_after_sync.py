"""What an outbox or a spool is told of its rows: only once they are synced, since it removes them then.

How rows are taken in is in tests/host/outbox; owners that lose power meanwhile are in tests/chaos/simulation/test_spools.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

import attrs

import perdure
from perdure.actors.core.messages import TakeInRows, TakenIn
from perdure.events.commands import Draft

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    number: int


class SlowToSync(perdure.MemoryStore):
    """Syncs once it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs, self.allowed = threading.Event(), threading.Event()
        self.allowed.set()

    def sync(self) -> None:
        self.syncs.set()
        assert self.allowed.wait(PATIENCE_S)
        super().sync()


class Answer:
    def __init__(self) -> None:
        self.future: Future[TakenIn] = Future()
        self.resolve = self.future.set_result
        self.reject = self.future.set_exception


def test_rows_are_taken_in_once_they_are_synced() -> None:
    store, answer = SlowToSync(), Answer()
    with perdure.System(store=store) as system:
        system.publish(Job(1))
        store.syncs.clear()
        store.allowed.clear()
        try:
            drafts = [Draft("spooled", "Job", b"\x91\x02")]
            system._pending.send("queue", TakeInRows([(1, drafts)], in_append=False), answer, from_outside=False)
            assert store.syncs.wait(PATIENCE_S)
            assert store.last_seq > store.synced_seq, "the frame is written"
            assert not answer.future.done(), "and its rows are still the spool's"
        finally:
            store.allowed.set()
        assert answer.future.result(PATIENCE_S).count == 1
