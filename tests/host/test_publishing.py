"""Publishing through the front door: ids, deduplication, bounds, atomic batches, delays and order.

What handlers do is in `test_handling`; input that is refused is in `test_bad_input`.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Order:
    name: str
    number: int = 0


def test_published_message_is_handled_once(folder: Path, collected: Collected) -> None:
    """Scenario 1: its id is returned, and ids are sortable by time."""
    system = perdure.System(folder)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((ctx.id, order))

    with system:
        ids = [system.publish(Order("a", n)) for n in range(20)]
        system.drain(timeout=10)
    assert ids == sorted(set(ids))
    assert collected.items == [(ident, Order("a", n)) for n, ident in enumerate(ids)]


def test_many_producer_threads(folder: Path, collected: Collected) -> None:
    """Scenario 2: 50 threads publish 1,000 each; ids distinct, each message handled, none twice."""
    system = perdure.System(folder)
    ids: list[str] = []

    @system.handler(Order, parallelism=2)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((order.name, order.number))

    def produce(name: str) -> None:
        ids.extend([system.publish(Order(name, n)) for n in range(1000)])

    with system:
        threads = [threading.Thread(target=produce, args=(str(t),)) for t in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        system.drain(timeout=60)
        assert system.admin.metrics().completed == 50_000
    assert len(set(ids)) == len(ids) == 50_000
    assert Counter(collected.items) == {(str(t), n): 1 for t in range(50) for n in range(1000)}


# --- deduplication -------------------------------------------------------------------------------------------------------


def test_newer_takes_the_place_of_a_waiting_one(folder: Path, collected: Collected) -> None:
    """Scenario 3: the newer payload is handled, the older never; retries count from zero."""
    system = perdure.System(folder)

    @system.handler(Order, retries=1, backoff=perdure.Fixed(0.0))
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((order.number, ctx.attempt))
        if order.number == 1:
            raise perdure.Retry(delay=3600)

    with system:
        old = system.publish(Order("a", 1), key="k")
        collected.wait_for(1)
        system.admin.pause(Order)
        new = system.publish(Order("a", 2), key="k")
        system.admin.resume(Order)
        system.drain(timeout=10)
        assert collected.items == [(1, 1), (2, 1)]
        assert system.admin.metrics().superseded == 1
        assert type(system.audit.timeline(old)[-1].event).__name__ == "Superseded"
        assert type(system.audit.timeline(new)[-1].event).__name__ == "Completed"


@pytest.mark.parametrize("older_fails", [True, False])
def test_newer_waits_for_the_one_in_flight(folder: Path, collected: Collected, until: Until, older_fails: bool) -> None:
    """Scenario 4: both end, never overlapping, the newer last; the older's failure is neither retried nor buried."""
    system = perdure.System(folder)
    go = threading.Event()
    running = Counter[str]()

    @system.handler(Order, parallelism=2, retries=3, backoff=perdure.Fixed(0.0))
    def handle(order: Order, ctx: perdure.Context) -> None:
        running["now"] += 1
        collected.add(("begin", order.number, running["now"]))
        if order.number == 1:
            assert go.wait(10)
        running["now"] -= 1
        collected.add(("end", order.number, running["now"]))
        if older_fails and order.number == 1:
            msg = "the older fails"
            raise ValueError(msg)

    with system:
        older = system.publish(Order("a", 1), key="k")
        collected.wait_for(1)
        system.publish(Order("a", 2), key="k")
        until(lambda: system.admin.metrics().held == 1)
        go.set()
        system.drain(timeout=10)
        assert [item[:2] for item in collected.items] == [("begin", 1), ("end", 1), ("begin", 2), ("end", 2)]
        assert max(item[2] for item in collected.items) == 1
        assert system.dead_letters.list() == []
        story = [type(record.event).__name__ for record in system.audit.timeline(older)]
        assert story == ["Published", "Leased", *(("AttemptFailed", "Superseded") if older_fails else ("Completed",))]


def test_rejected_key_names_the_live_message(folder: Path) -> None:
    """Scenario 6: `DuplicateKey` names the live id; after completion the key is free."""
    system = perdure.System(folder)

    @system.handler(Order, dedup="reject")
    def handle(order: Order, ctx: perdure.Context) -> None: ...

    with system:
        system.admin.pause(Order)
        live = system.publish(Order("a", 1), key="k")
        with pytest.raises(perdure.DuplicateKey, match=live) as caught:
            system.publish(Order("a", 2), key="k")
        assert caught.value.live_id == live
        assert system.admin.metrics().published == 1
        system.admin.resume(Order)
        system.drain(timeout=10)
        assert system.publish(Order("a", 3), key="k") != live
        system.drain(timeout=10)
        assert system.admin.metrics().completed == 2


def test_appended_keys_are_only_labels(folder: Path, collected: Collected) -> None:
    """Scenario 6, the third policy: with `append` every message of a key is handled."""
    system = perdure.System(folder)

    @system.handler(Order, dedup="append")
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.number)

    with system:
        system.publish_many([Order("a", n) for n in range(3)], key="k")
        system.drain(timeout=10)
    assert collected.items == [0, 1, 2]


def test_same_id_counts_once(folder: Path, collected: Collected) -> None:
    """Scenario 7: the id is returned and nothing is added, also after it completed and after a restart."""
    system = perdure.System(folder)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.number)

    for number in (1, 2):
        with system:
            for _ in range(2):
                assert system.publish(Order("a", number), id="mine") == "mine"
            system.drain(timeout=10)
            assert system.publish(Order("a", number), id="mine") == "mine"
            system.drain(timeout=10)
            assert system.admin.metrics().published == 1
    assert collected.items == [1]


# --- bounds --------------------------------------------------------------------------------------------------------------


def test_full_backlog_refuses_after_the_timeout(folder: Path) -> None:
    """Scenario 9: `QueueFull` after the publish timeout; nothing accepted is lost."""
    options = perdure.Options(backlog_max=3, publish_timeout_s=0.1)
    with perdure.System(folder, options=options) as system:
        ids = [system.publish(Order("a", n)) for n in range(3)]
        with pytest.raises(perdure.QueueFull, match="backlog_max"):
            system.publish(Order("a", 3))
        assert system.admin.metrics().ready == 3
    with perdure.System(folder, options=options) as system:
        assert [system.checkout(Order).id for _ in range(3)] == ids  # type: ignore[union-attr]
        assert system.checkout(Order) is None


def test_full_backlog_blocks_until_there_is_room(folder: Path, until: Until) -> None:
    """Scenario 9: a publish waits at the bound, and goes through once a message has left the backlog."""
    with perdure.System(folder, options=perdure.Options(backlog_max=1, publish_timeout_s=30.0)) as system:
        first = system.publish(Order("a", 1))
        waiting = system.submit(Order("a", 2))
        assert system.admin.metrics().published == 1  # asked after the submit, answered in order
        assert not waiting.done()
        delivery = system.checkout(Order)
        assert delivery is not None
        assert delivery.id == first
        delivery.ack()
        second = waiting.result(timeout=10)
        delivery = system.checkout(Order)
        assert delivery is not None
        assert (delivery.id, delivery.message) == (second, Order("a", 2))


def test_backlog_is_bounded_in_bytes_too(folder: Path) -> None:
    """Scenario 9, by size: a batch that does not fit is refused as a whole."""
    options = perdure.Options(backlog_bytes=1000, publish_timeout_s=0.05)
    with perdure.System(folder, options=options) as system:
        system.publish(Order("x" * 500))
        with pytest.raises(perdure.QueueFull, match="backlog_bytes"):
            system.publish_many([Order("x" * 10), Order("x" * 600)])
        assert system.admin.metrics().published == 1


# --- time and order ------------------------------------------------------------------------------------------------------


def test_delayed_message_waits_also_across_a_restart(folder: Path, clock: perdure.ManualClock, collected: Collected) -> None:
    """Scenario 21: a delayed and a scheduled message start when their time has come, not before."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add((order.name, clock.now_us()))

    begun_us = clock.now_us()
    with system:
        system.publish(Order("delayed"), delay=10)
        system.publish(Order("scheduled"), at=begun_us / 1e6 + 20)
        system.publish(Order("now"))
        collected.wait_for(1)
        clock.advance(9)
        assert system.admin.metrics().delayed == 2
    with system:
        assert system.admin.metrics().delayed == 2
        clock.advance(1)
        collected.wait_for(2)
        clock.advance(9)
        assert system.admin.metrics().delayed == 1
        clock.advance(1)
        system.drain(timeout=10)
    waited = [(name, (at_us - begun_us) // 1_000_000) for name, at_us in collected.items]
    assert waited == [("now", 0), ("delayed", 10), ("scheduled", 20)]


def test_higher_priority_first_also_across_a_restart(folder: Path, collected: Collected) -> None:
    """Scenario 21: by priority, then in the order of publishing."""
    system = perdure.System(folder)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.name)

    with system:
        system.admin.pause(Order)
        for name, priority in (("low", -1), ("first", 0), ("high", 5), ("second", 0), ("higher", 6)):
            system.publish(Order(name), priority=priority)
    with system:
        system.admin.resume(Order)
        system.drain(timeout=10)
    assert collected.items == ["higher", "high", "first", "second", "low"]


@pytest.mark.parametrize("restarted", [False, True])
def test_expired_message_is_not_handled(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until, restarted: bool
) -> None:
    """Scenario 21: a message whose `ttl` is over before it was handled is dropped, on record."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.name)

    system.start()
    system.admin.pause(Order)
    short = system.publish(Order("short"), ttl=5)
    system.publish(Order("long"), ttl=50)
    if restarted:
        system.stop()
    clock.advance(6)
    if restarted:
        system.start()
    until(lambda: system.admin.metrics().expired == 1)
    system.admin.resume(Order)
    system.drain(timeout=10)
    assert type(system.audit.timeline(short)[-1].event).__name__ == "Expired"
    system.stop()
    assert collected.items == ["long"]


def test_group_is_strict_order_one_in_flight(folder: Path, collected: Collected) -> None:
    """Scenario 21: within a group in order and one at a time, also where one is retried and across a restart."""
    system = perdure.System(folder)
    running = Counter[str]()

    @system.handler(Order, parallelism=4, backoff=perdure.Fixed(0.005))
    def handle(order: Order, ctx: perdure.Context) -> None:
        running[order.name] += 1
        alone = running[order.name] == 1
        try:
            if ctx.attempt == 1 and order.number % 3 == 0:
                msg = "try again"
                raise ValueError(msg)
            collected.add((order.name, order.number, alone))
        finally:
            running[order.name] -= 1

    with system:
        system.admin.pause()
        for n in range(10):
            for group in ("a", "b"):
                system.publish(Order(group, n), group=group)
    with system:
        system.admin.resume()
        system.drain(timeout=20)
    for group in ("a", "b"):
        assert [item for item in collected.items if item[0] == group] == [(group, n, True) for n in range(10)]
