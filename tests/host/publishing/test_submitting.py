"""Submitting: messages that travel together behave as single ones in all that a user sees: ids, order, room, refusals.

How they are gathered is in tests/actors/requests/test_submit_batches.
That nothing is lost with dying actors and disks is also in tests/chaos.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem
from perdure.events import vocabulary as ev
from tests.records import events_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from perdure.operations.audit import Audit

THREADS = 4
EACH = 3_000
KILLS = 45


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Other:
    number: int


def published(audit: Audit) -> list[str]:
    """Give the ids on record, in the order of their numbers."""
    events = events_of(ev.Published, audit.events(type="Published"))
    assert [event.number for event in events] == sorted(event.number for event in events)
    return [event.id for event in events]


def test_what_is_submitted_in_a_row_is_one_commit_with_an_id_each() -> None:
    system = SimulatedSystem(seed=1)
    with system:
        futures = [system.submit(Job(n)) for n in range(600)]
        assert system.runtime.pending.under_way == 600
        system.run_until_idle()
        ids = [future.result(timeout=0) for future in futures]
        assert published(system.audit) == ids
        assert len(set(ids)) == 600
        assert len({record.at for record in system.audit.events(type="Published")}) == 1
        assert system.runtime.pending.under_way == 0


def test_submitted_messages_keep_the_order_of_their_thread_whatever_their_kind() -> None:
    system = SimulatedSystem(seed=1)
    with system:
        futures: list[Future[str]] = []
        for n in range(20):
            futures.append(system.submit(Job(n)))
            futures.append(system.submit(Job(n), key=f"k{n}") if n % 3 == 0 else system.submit(Job(n)))
            futures.append(system.submit(Other(n)) if n % 4 == 0 else system.submit(Job(n), priority=n % 5))
        system.run_until_idle()
        assert published(system.audit) == [future.result(timeout=0) for future in futures]


def test_as_many_are_taken_as_there_is_room_for_and_the_others_wait() -> None:
    """Scenario 9: each on its own merits, first come, first served, though they travel together."""
    system = SimulatedSystem(seed=1, options=perdure.Options(backlog_max=3, publish_timeout_s=10.0))
    with system:
        futures = [system.submit(Job(n)) for n in range(6)]
        system.run_until_idle()
        assert [future.done() for future in futures] == [True] * 3 + [False] * 3
        later = [system.submit(Job(n)) for n in range(6, 8)]
        system.run_until_idle()
        delivery = system.checkout(Job)
        assert delivery is not None
        delivery.ack()
        system.run_until_idle()
        assert [future.done() for future in futures] == [True] * 4 + [False] * 2
        system.advance(11.0)
        for future in [*futures[4:], *later]:
            with pytest.raises(perdure.QueueFull):
                future.result(timeout=0)
        assert published(system.audit) == [future.result(timeout=0) for future in futures[:4]]
        assert system.runtime.pending.under_way == 0


@pytest.mark.parametrize("name", ["queue", "journal", "supervisor"])
@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("room", [100, 4])
def test_each_message_is_there_once_whichever_actor_dies(name: str, steps: int, room: int) -> None:
    """Scenario 39: with the submit batch still in the mailbox, decided, written, split for want of room."""
    system = SimulatedSystem(seed=steps, options=perdure.Options(backlog_max=room, publish_timeout_s=10.0))
    with system:
        futures = [system.submit(Job(n)) for n in range(6)]
        for _ in range(steps):
            system.step()
        system.actors.kill(name)
        futures += [system.submit(Job(n)) for n in range(6, 9)]
        system.run_until_idle()
        system.advance(11.0)
        there, refused = futures[:room], futures[room:]
        assert published(system.audit) == [future.result(timeout=0) for future in there]
        assert [type(future.exception(timeout=0)) for future in refused] == [perdure.QueueFull] * len(refused)


def test_a_full_disk_refuses_each_with_an_error_of_its_own() -> None:
    """Scenario 34: and none of them is there."""

    class Full(perdure.MemoryStore):
        full = False

        def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
            if self.full:
                raise perdure.StoreUnavailable("the disk is full; make room")
            super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)

    store = Full()
    with perdure.System(store=store) as system:
        store.full = True
        futures = [system.submit(Job(n)) for n in range(50)]
        errors = [future.exception(timeout=10) for future in futures]
        assert {type(error) for error in errors} == {perdure.StoreUnavailable}
        assert len(set(map(id, errors))) == 50
        store.full = False
    assert published(system.audit) == []


def test_what_the_queue_has_not_looked_at_when_the_system_goes_is_refused() -> None:
    system = SimulatedSystem(seed=1)
    with system:
        system.runtime.directory.actors["queue"].kill()
        futures = [system.submit(Job(n)) for n in range(3)]
        system.runtime.pending.abandon(perdure.NotRunning("gone"))
        assert [type(future.exception(timeout=0)) for future in futures] == [perdure.NotRunning] * 3
        with pytest.raises(perdure.NotRunning):
            system.submit(Job(3))


def test_no_more_are_under_way_than_the_pipeline_takes(folder: Path) -> None:
    """Messages are counted, however many travel together."""
    with perdure.System(folder, options=perdure.Options(pipeline_max=10)) as system:
        most = 0
        futures = []
        for n in range(2_000):
            futures.append(system.submit(Job(n)))
            most = max(most, system.runtime.pending.under_way)
        assert 1 < most <= 10
        assert len({future.result(timeout=10) for future in futures}) == 2_000


@pytest.mark.long(seconds=3)
def test_many_threads_submit_while_actors_die(folder: Path) -> None:
    """Scenario 39: real threads; each message is there once, and each thread's in its order."""
    futures: dict[int, list[Future[str]]] = {}

    def submit(system: perdure.System, thread: int) -> None:
        mine: list[Future[str]] = []
        for n in range(EACH):
            options: dict[str, Any] = {"headers": {"n": str(n)}} if n % 50 == 0 else {}
            mine.append(system.submit(Job(n), **options))
        futures[thread] = mine

    with perdure.System(folder, options=perdure.Options(pipeline_max=500)) as system:
        threads = [threading.Thread(target=submit, args=(system, i)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for turn in range(KILLS):
            system.actors.kill(("queue", "journal", "supervisor")[turn % 3])
            threads[turn % THREADS].join(0.02)
        for thread in threads:
            thread.join(30)
        by_thread = [[future.result(timeout=30) for future in mine] for mine in futures.values()]
    there = published(system.audit)
    assert len(there) == len(set(there)) == THREADS * EACH
    place = {ident: i for i, ident in enumerate(there)}
    for mine in by_thread:
        places = [place[ident] for ident in mine]
        assert places == sorted(places)
