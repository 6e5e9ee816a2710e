"""Unwanted deaths: disks that fail for a while or for ever, snapshots that fail, handlers that raise anything.

Kills on purpose are in tests/chaos.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events import vocabulary as ev
from perdure.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.store import Snapshot

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    name: str


class FailingStore(MemoryStore):
    """Fails in one call, `times` times, once it is set to."""

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__()
        self.call = call
        self.error = error
        self.times = 0
        self.failed = 0

    def _perhaps(self, call: str) -> None:
        if call == self.call and self.times:
            self.times -= 1
            self.failed += 1
            raise self.error

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        self._perhaps("append")
        super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)

    def sync(self) -> None:
        self._perhaps("sync")
        super().sync()

    def save_snapshot(self, snapshot: Snapshot) -> None:
        self._perhaps("save_snapshot")
        super().save_snapshot(snapshot)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.002)


def published(system: perdure.System, ident: str) -> bool:
    try:
        return system.publish(Job(ident), id=ident) == ident
    except perdure.StoreUnavailable:
        return False


@pytest.mark.parametrize("call", ["append", "sync"])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_disk_fails_and_recovers(call: str, times: int) -> None:
    """Scenario 34: refused or settled, but never lost or doubled; work goes on without a restart of the host."""
    store = FailingStore(call, perdure.StoreUnavailable("the disk is full; make room"))
    handled: list[str] = []
    system = perdure.System(store=store)

    @system.handler(Job)
    def job(message: Job, ctx: perdure.Context) -> None:
        handled.append(ctx.id)

    with system:
        assert published(system, "before")
        system.drain(timeout=PATIENCE_S)
        store.times = times
        first = published(system, "during")
        assert store.failed > 0
        if call == "append":
            assert not first
        until(lambda: published(system, "during"))
        until(lambda: published(system, "after"))
        system.drain(timeout=PATIENCE_S)
        assert sorted(set(handled)) == ["after", "before", "during"]
        names = [record.message_id for record in system.audit.events(type="Completed")]
        assert sorted(map(str, names)) == ["after", "before", "during"]


def test_a_full_disk_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """An operator needs the message alone; the traceback is logged at DEBUG."""
    with caplog.at_level(logging.DEBUG, logger="perdure"):
        store = FailingStore("append", perdure.StoreUnavailable("the disk is full; make room"))
        with perdure.System(store=store) as system:
            store.times = 1
            published(system, "one")  # refused, or taken by the journal's successor
            assert store.failed == 1
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(record.getMessage(), record.exc_info) for record in told] == [
        ("actor journal died: StoreUnavailable('the disk is full; make room')", None)
    ]
    assert [record for record in caplog.records if record.levelno == logging.DEBUG and record.exc_info]


def test_what_an_actor_died_of_is_on_record() -> None:
    store = FailingStore("append", perdure.StoreUnavailable("the disk is full; make room\nnow" + "!" * 1_000))
    with perdure.System(store=store) as system:
        store.times = 1
        published(system, "one")
        until(lambda: published(system, "one"))
        dispatcher = system.actors["dispatcher"]
        system.actors.kill("dispatcher")
        until(lambda: is_replaced(system, "dispatcher", dispatcher))
    events = [record.event for record in system.audit.events(type="ActorRestarted")]
    causes = {event.actor: event.cause for event in events if isinstance(event, ev.ActorRestarted)}
    assert causes["dispatcher"] == "ActorKilled"
    assert causes["journal"].startswith("StoreUnavailable: the disk is full; make room\\nnow!!!")
    assert len(causes["journal"]) < 400


def test_an_actor_that_dies_again_and_again_stops_the_system() -> None:
    """Scenario 41: the budget is used up, `NotRunning` names the cause, and what was acknowledged is there at the next start."""
    store = FailingStore("append", RuntimeError("broken for good"))
    system = perdure.System(store=store, options=perdure.Options(restart_budget=3))
    with system:
        kept = system.publish(Job("kept"))
        until(lambda: store.last_seq == 2)  # that it has started is on record too: nothing else is written from here on
        store.times = 1_000_000
        # It is unknown whether the last append wrote it, unless other events have killed each journal before it was tried.
        with pytest.raises((perdure.PublishTimeout, perdure.NotRunning), match="broken for good"):
            system.publish(Job("lost"))
        assert not system.running
        with pytest.raises(perdure.NotRunning, match=r"journal.*broken for good"):
            system.publish(Job("refused"))
    store.times = 0
    with perdure.System(store=store) as again:
        delivery = again.checkout(Job)
        assert delivery is not None
        assert delivery.id == kept
        delivery.ack()
        assert again.checkout(Job) is None


def test_a_snapshot_fails() -> None:
    """Scenario 35: the queue goes on, and a later snapshot works."""
    store = FailingStore("save_snapshot", perdure.StoreUnavailable("no room for a snapshot"))
    with perdure.System(store=store) as system:
        system.publish(Job("a"))
        store.times = 1
        with pytest.raises(perdure.PerdureError):
            system.admin.snapshot()
        assert store.failed == 1
        system.publish(Job("b"))
        assert system.admin.snapshot() > 0
        assert next(iter(store.snapshots())).seq > 0


class Own(BaseException):
    """A host's own, outside of Exception."""


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, MemoryError, Own])
def test_whatever_a_handler_raises_fails_its_message_only(kind: type[BaseException]) -> None:
    """Scenario 40: SystemExit and its kind are failed attempts; no actor dies of them."""
    system = perdure.System(store=MemoryStore())

    @system.handler(Job, retries=1, backoff=perdure.Fixed(0.0))
    def job(message: Job, ctx: perdure.Context) -> None:
        if message.name == "bad":
            raise kind

    with system:
        bad = system.publish(Job("bad"))
        system.publish(Job("good"))
        system.drain(timeout=PATIENCE_S)
        assert [(letter.id, letter.attempts) for letter in system.dead_letters.list()] == [(bad, 2)]
        assert system.admin.metrics().completed == 1
        assert system.runtime.health.counters.get("actor_deaths", 0) == 0


def is_replaced(system: perdure.System, name: str, victim: object) -> bool:
    return system.actors[name] is not victim


@pytest.mark.long(seconds=3)
def test_an_idle_worker_among_many_is_replaced_soon_after_its_death() -> None:
    """They share a mailbox, so the item that is to wake the dead one may reach any of them first."""
    system = perdure.System(store=MemoryStore())
    system.handler(Job, parallelism=40)(lambda job: None)
    with system:
        for n in (0, 20, 39, 10):
            name = f"worker:{__name__}.Job:{n}"
            victim = system.actors[name]
            system.actors.kill(name)
            until(partial(is_replaced, system, name, victim))
        assert system.admin.metrics().runtime_counters["actor_restarts"] == 4
