"""The timer keeps one deadline for each actor: a changed one leaves no other behind, and a restarted timer learns them all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perdure.actors.core.messages import Wake, WakeAt
from perdure.actors.services.timer import Timer
from perdure.chaos import SimulatedSystem
from perdure.events.structures.heap_set import SLACK

DAY_US = 86_400_000_000


def test_a_deadline_that_was_changed_is_gone() -> None:
    sent: list[tuple[str, Any]] = []
    clock = SimpleNamespace(now_us=lambda: DAY_US, seconds_until=lambda at_us: (at_us - DAY_US) / 1e6)
    timer = Timer(SimpleNamespace(tell=lambda *what: sent.append(what)), clock, 1)
    for n in range(10_000):
        timer.turn([WakeAt("queue", 10 * DAY_US - n), WakeAt("dispatcher", 5 * DAY_US + n)])
    assert len(timer.deadlines) == len(timer.asked) == 2
    assert len(timer.deadlines.heap) <= 4 + SLACK
    assert timer.deadlines.first == (5 * DAY_US + 9_999, "dispatcher")
    timer.turn([WakeAt("dispatcher", DAY_US), WakeAt("dispatcher", DAY_US)])
    assert [(name, type(message)) for name, message in sent] == [("dispatcher", Wake)]
    assert list(timer.asked) == ["queue"]


def test_a_restarted_timer_learns_all_deadlines() -> None:
    """Each actor that waits for a time tells it again once the timer has died."""
    with SimulatedSystem() as system:
        handled: list[int] = []

        @system.handler(int)
        def handle(number: int) -> None:
            handled.append(number)

        system.publish(1, delay=60.0)
        system.advance(1.0)
        system.actors.kill("timer")
        system.advance(60.0)
        assert handled == [1]
