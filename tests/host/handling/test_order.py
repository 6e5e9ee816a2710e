"""Time and order of deliveries: delays, schedules, priorities, time to live, groups.

Retries and their backoff are in `test_handling`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Order:
    """A message."""

    name: str
    number: int = 0


@attrs.frozen
class Other:
    name: str


def test_delayed_message_waits_also_across_a_restart(folder: Path, clock: perdure.ManualClock, collected: Collected) -> None:
    """Scenario 21: a delayed and a scheduled message are delivered at their time, not before."""
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
    """Scenario 21: messages are delivered by priority, then in the order of publishing."""
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
    """Scenario 21: a message whose `ttl` ends before it is handled is dropped, and the log records it."""
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


def test_message_that_expires_while_it_waits_for_room_is_not_handled(collected: Collected) -> None:
    """Scenarios 9 and 21, found by seed 1093917317010 of the simulation: admitted and delivered in one pass of the queue."""
    system = SimulatedSystem(seed=1, options=perdure.Options(backlog_max=1, publish_timeout_s=60.0))
    system.handler(Other)(lambda order: collected.add(order.name))
    system.handler(Order)(lambda order: collected.add(order.name))
    with system:
        system.admin.pause(Other)
        system.publish(Other("first"))
        late = system.submit(Order("late"), ttl=5)
        system.advance(6.0)
        assert not late.done()
        system.admin.resume(Other)
        system.drain(timeout=10.0)
        assert collected.items == ["first"]
        assert type(system.audit.timeline(late.result(timeout=0))[-1].event).__name__ == "Expired"


def test_group_is_strict_order_one_in_flight(folder: Path, collected: Collected) -> None:
    """Scenario 21: messages of a group are handled in order and one at a time, also across a retry and a restart."""
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
