"""The scheduler follows the wall clock, however that is put back and forward; its timer has a clock that never goes back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.actors.core import clock as clock_module
from perdure.actors.core.clock import SystemClock
from perdure.actors.core.messages import AskTicks
from perdure.actors.services.scheduler import Scheduler
from perdure.actors.services.timer import Timer
from perdure.events.commands import Tick
from tests.machine import HOUR, US, Machine

if TYPE_CHECKING:
    from perdure.actors.core.messages import Wake

STEP_S = 0.5
LATE_US = 2 * US
"""How late a tick may be: the timer takes a turn each step, and its clock may run a tenth slower than the wall clock."""


class Scheduled:
    """A schedule, its scheduler and the timer on one machine, in one thread."""

    def __init__(self, machine: Machine, every_s: int) -> None:
        self.machine, self.every_us = machine, every_s * US
        clock = SystemClock()
        schedule = SimpleNamespace(name="s", missed="last", draft=lambda due_us: due_us, after=self.after)
        extensions = SimpleNamespace(schedules={"s": schedule})
        self.timer = Timer(SimpleNamespace(tell=self._wake), clock, 1)
        pending = SimpleNamespace(send=self._sent, outstanding={})
        directory = SimpleNamespace(tell=lambda _name, message: self.timer.turn([message]))
        self.last_us = clock.now_us()
        self.is_asked = False
        """The scheduler awaits what is on record."""
        # Of the directory, the requests and the runtime it gets only what it calls.
        self.scheduler = Scheduler(directory, pending, clock, extensions, clock.now_us(), 1)  # type: ignore[arg-type]
        self.scheduler.on_batch([{"s": self.last_us}])

    def after(self, at_us: int) -> int:
        """Return the first tick after a time."""
        return at_us - at_us % self.every_us + self.every_us

    def _wake(self, _name: str, message: Wake) -> None:
        self.scheduler.on_batch([message])

    def _sent(self, _target: str, tick: Any, _reply: Any, *, from_outside: bool) -> None:
        assert not from_outside
        if isinstance(tick, AskTicks):
            self.is_asked = True
            return
        assert isinstance(tick, Tick)
        assert tick.due_us * 1000 <= self.machine.wall, "never early"
        self.last_us = tick.due_us

    def live(self, seconds: float) -> None:
        """Let time pass, and look for a tick that is late."""
        for _ in range(round(seconds / STEP_S)):
            self.machine.live(STEP_S)
            self.timer.turn([])
            if self.is_asked:
                self.is_asked = False
                self.scheduler.on_batch([{"s": self.last_us}])
            late_us = self.machine.wall // 1000 - self.after(self.last_us)
            assert late_us <= LATE_US, f"a tick is late by {late_us / US:g} s"


MOVES = st.lists(st.tuples(st.floats(2.0, 200.0), st.sampled_from([1, 60, 600, HOUR, 4 * HOUR, -1, -60, -600, -HOUR, -4 * HOUR])))


@given(st.sampled_from([1, 60, 600]), MOVES)
@example(1, [(2.0, -HOUR), (7.0, HOUR), (7.0, 0)])  # as a user saw it
@example(600, [(2.0, -60), (1300.0, 0)])  # made up for while it waits
def test_no_tick_is_late_whatever_the_wall_clock_does(every_s: int, moves: list[tuple[float, int]]) -> None:
    machine = Machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "time", machine)
        scheduled = Scheduled(machine, every_s)
        for seconds, correction in moves:
            scheduled.live(seconds)
            machine.correct(correction)
            machine.live(2.0)  # within which the timer looks
            scheduled.timer.turn([])
        scheduled.live(2 * every_s)
