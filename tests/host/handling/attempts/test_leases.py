"""Leases: heartbeats, expiry, late results, and manual consumers.

Timeouts of handlers are in `test_handling`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store import SegmentStore
from perdure.store.disk.disk import Disk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until

SECOND_US = 1_000_000


@attrs.frozen
class Job:
    """A message."""

    name: str


def event_names(system: perdure.System, message_id: str) -> list[str]:
    return [type(record.event).__name__ for record in system.audit.timeline(message_id)]


def test_heartbeats_keep_the_lease(folder: Path, clock: perdure.ManualClock, collected: Collected) -> None:
    """Scenario 16: a long handler with heartbeats is not run a second time."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Job, lease=10.0, renew=False, parallelism=2)
    def handle(job: Job, ctx: perdure.Context) -> None:
        for n in range(5):
            clock.advance(9)
            ctx.heartbeat(n * 20, "on the way")
        collected.add(ctx.attempt)

    with system:
        ident = system.publish(Job("a"))
        system.drain(timeout=10)
        assert collected.items == [1]
        assert event_names(system, ident) == ["Published", "Leased", *["Progressed"] * 5, "Completed"]


class HeldDisk(Disk):
    """Syncs of a log take for as long as it is held."""

    def __init__(self) -> None:
        self.goes_on, self.is_syncing = threading.Event(), threading.Event()
        self.goes_on.set()

    def sync_data(self, fd: int) -> None:
        self.is_syncing.set()
        self.goes_on.wait(30.0)
        super().sync_data(fd)


def test_a_heartbeat_that_waits_for_a_slow_disk_keeps_the_lease(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    disk = HeldDisk()
    system = perdure.System(store=SegmentStore(folder, disk=disk), clock=clock)
    begun, may_beat, may_end = threading.Event(), threading.Event(), threading.Event()

    @system.handler(Job, lease=10.0, renew=False, parallelism=2)
    def handle(job: Job, ctx: perdure.Context) -> None:
        if job.name == "other":
            return
        begun.set()
        may_beat.wait(30.0)
        ctx.heartbeat(50)
        may_end.wait(30.0)
        collected.add(ctx.attempt)

    with system:
        ident = system.publish(Job("a"))
        assert begun.wait(30.0)
        disk.is_syncing.clear()
        disk.goes_on.clear()
        other = system.submit(Job("other"))
        assert disk.is_syncing.wait(30.0)
        may_beat.set()
        assert system._engine is not None
        pool = next(iter(system._engine.runtime.pools.by_type.values()))
        until(lambda: any(delivery.asking for delivery in pool.open.values()))
        clock.advance(30)
        disk.goes_on.set()
        other.result(30.0)
        until(lambda: {"LeaseExtended", "LeaseExpired"} & set(event_names(system, ident)))
        may_end.set()
        system.drain(timeout=30)
        assert collected.items == [1]
        assert event_names(system, ident)[:4] == ["Published", "Leased", "Progressed", "LeaseExtended"]
        assert "LeaseExpired" not in event_names(system, ident)


def test_silence_loses_the_lease(folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until) -> None:
    """Scenario 16: without heartbeats the message goes to another worker, and the first gets `LeaseLost`."""
    system = perdure.System(folder, clock=clock)
    taken_over = threading.Event()

    @system.handler(Job, lease=10.0, renew=False, parallelism=2)
    def handle(job: Job, ctx: perdure.Context) -> None:
        if ctx.attempt == 2:
            taken_over.set()
            collected.add("second")
            return
        collected.add("first")
        assert taken_over.wait(10)
        assert ctx.cancelled
        try:
            ctx.heartbeat(50)
        except perdure.LeaseLost:
            collected.add("lost")

    with system:
        ident = system.publish(Job("a"))
        collected.wait_for(1)
        clock.advance(11)
        assert collected.wait_for(3)[0] == "first"
        assert sorted(collected.items) == ["first", "lost", "second"]
        until(lambda: system.admin.metrics().late_results == 1)
        system.drain(timeout=10)
        assert "LeaseExpired" in event_names(system, ident)
        assert system.admin.metrics().completed == 1


def test_late_ack_of_a_manual_consumer(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    """Scenario 16: a consumer whose lease expired gets `LeaseLost`, and changes nothing."""
    with perdure.System(folder, clock=clock) as system:
        ident = system.publish(Job("a"))
        first = system.checkout(Job, lease=10.0)
        assert first is not None
        clock.advance(11)
        until(lambda: system.admin.metrics().lease_expired == 1)
        second = system.checkout(Job, lease=10.0)
        assert second is not None
        assert (second.id, first.attempt, second.attempt) == (ident, 1, 2)
        for call in (first.ack, first.requeue, lambda: first.extend(5), lambda: first.heartbeat(1)):
            with pytest.raises(perdure.LeaseLost, match=ident):
                call()
        second.ack()
        with pytest.raises(perdure.LeaseLost):
            second.ack()
        assert system.admin.metrics().completed == 1


@pytest.mark.parametrize("percent", [-1, 101, float("nan")])
def test_impossible_progress_is_a_value_error(folder: Path, percent: float) -> None:
    """Scenario 17: a heartbeat of -1 or 101 percent is refused."""
    with perdure.System(folder) as system:
        system.publish(Job("a"))
        delivery = system.checkout(Job)
        assert delivery is not None
        with pytest.raises(ValueError, match="percent"):
            delivery.heartbeat(percent)
        delivery.heartbeat(0)
        delivery.heartbeat(100)


def test_progress_is_shown_while_it_runs(folder: Path, collected: Collected) -> None:
    """Scenario 17: metrics show progress while the handler runs; afterwards a heartbeat raises `LeaseLost`."""
    system = perdure.System(folder)
    go = threading.Event()
    contexts: list[perdure.Context] = []

    @system.handler(Job)
    def handle(job: Job, ctx: perdure.Context) -> None:
        contexts.append(ctx)
        with pytest.raises(ValueError, match="percent"):
            ctx.heartbeat(101)
        ctx.heartbeat(40, "halfway")
        collected.add("told")
        assert go.wait(10)

    with system:
        ident = system.publish(Job("a"))
        collected.wait_for(1)
        assert system.admin.metrics().progress == {ident: (40.0, "halfway")}
        go.set()
        system.drain(timeout=10)
        assert system.admin.metrics().progress == {}
        with pytest.raises(perdure.LeaseLost):
            contexts[0].heartbeat(50)


def test_manual_consumer(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 23: checkout, ack, requeue, extend."""
    with perdure.System(folder, clock=clock) as system:
        assert system.checkout(Job) is None
        ident = system.publish(Job("a"), key="k", headers={"tenant": "t1"}, correlation_id="c")
        delivery = system.checkout(Job, lease=10)
        assert delivery is not None
        assert (delivery.message, delivery.id, delivery.attempt) == (Job("a"), ident, 1)
        assert (delivery.key, dict(delivery.headers), delivery.correlation_id) == ("k", {"tenant": "t1"}, "c")
        assert system.checkout(Job) is None
        delivery.extend(100)
        clock.advance(99)
        assert system.checkout(Job) is None
        delivery.requeue("not today")
        again = system.checkout(Job, lease=10)
        assert again is not None
        assert (again.id, again.attempt) == (ident, 2)
        again.ack()
        assert system.checkout(Job) is None
        assert event_names(system, ident) == [
            "Published",
            "Leased",
            "LeaseExtended",
            "AttemptFailed",
            "Awakened",
            "Leased",
            "Completed",
        ]


def test_requeue_counts_and_ends_as_a_dead_letter(folder: Path) -> None:
    """Scenario 23: a message requeued more often than its retries allow becomes a dead letter."""
    with perdure.System(folder) as system:
        system.publish(Job("a"))
        for attempt in (1, 2, 3):
            delivery = system.checkout(Job, retries=2)
            assert delivery is not None
            assert delivery.attempt == attempt
            delivery.requeue("no")
        assert system.checkout(Job) is None
        (letter,) = system.dead_letters.list()
        assert (letter.attempts, letter.error) == (3, "no")


def test_two_consumers_never_hold_the_same_message(folder: Path, collected: Collected) -> None:
    """Scenario 23: four consumers in four threads share 200 messages, each held by one at a time."""

    def consume() -> None:
        while (delivery := system.checkout(Job)) is not None:
            collected.add((delivery.id, delivery.attempt))
            delivery.ack()

    with perdure.System(folder) as system:
        ids = system.publish_many([Job(str(n)) for n in range(200)])
        threads = [threading.Thread(target=consume) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(collected.items) == [(ident, 1) for ident in sorted(ids)]
        assert system.admin.metrics().completed == 200
