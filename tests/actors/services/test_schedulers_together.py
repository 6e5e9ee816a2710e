"""The schedulers of several processes on one queue: each tick once, in order, and none left out, whatever the wall clock does.

What one scheduler does with its timer is in `test_scheduler`; which ticks are due is in `tests/events/schedules`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perdure.actors.core.messages import AskTicks, Wake
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.services.scheduler import Scheduler
from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Tick
from perdure.events.limits import Limits
from perdure.events.queue.decisions import decide
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.schedules.ticks import comes_too_early, is_set_back
from tests.machine import HOUR, US

STEP_US = 600 * US


def after(at_us: int) -> int:
    return at_us - at_us % STEP_US + STEP_US


def draft(due_us: int) -> Draft:
    return Draft(f"s@{due_us}", "every:s", b"")


class Process:
    """A process with the schedule. Its requests reach the queue in their order, as late as the test lets them."""

    def __init__(self, folder: Folder, missed: str) -> None:
        self.folder, self.missed = folder, missed
        self.sent: list[Any] = []
        """On its way to the queue."""
        self.pending = PendingRequests(lambda _target, request: self.sent.append(request))
        self.started_us = self.ahead_us = folder.wall_us
        self.begin()

    def wall_us(self) -> int:
        return self.folder.wall_us

    def now_us(self) -> int:
        self.ahead_us = max(self.ahead_us, self.folder.wall_us)
        return self.ahead_us

    def begin(self) -> None:
        """Start a scheduler, for the first time or because the one before has died."""
        schedule = SimpleNamespace(name="s", missed=self.missed, draft=draft, after=after)
        extensions = SimpleNamespace(schedules={"s": schedule})
        self.inbox: list[Any] = []
        home = SimpleNamespace(tell=lambda name, message: self.inbox.append(message) if name == "scheduler" else None)
        # Of the directory, the requests and the runtime it gets only what it calls.
        self.scheduler = Scheduler(home, self.pending, self, extensions, self.started_us, 1)  # type: ignore[arg-type]
        self.scheduler.on_start()

    def live(self) -> None:
        """Let its scheduler read what has come, and look at the clock."""
        inbox, self.inbox[:] = [*self.inbox], []
        self.scheduler.on_batch([*inbox, Wake()])

    def connect_anew(self) -> None:
        """Send all again that has no answer, to the next owner or the next term of the queue."""
        self.sent = self.pending.unanswered("queue")


class Folder:
    """The queue, and the processes that send it ticks."""

    def __init__(self) -> None:
        self.wall_us = 1_700_000_000 * US
        self.state = QueueState()
        self.processes: list[Process] = []

    def take(self, process: Process, most: int) -> None:
        """Let the queue take the next requests of a process, as `Queue` does."""
        taken, process.sent = process.sent[:most], process.sent[most:]
        for request in taken:
            command = request.command
            if isinstance(command, AskTicks):
                process.pending.settle(request, dict(self.state.ticks))
            elif not comes_too_early(self.state.ticks, command):
                self.check(command, events := decide(self.state, command, process.now_us(), Limits()))
                evolve_all(self.state, events)
                process.pending.settle(request, None)

    def check(self, tick: Tick, events: Any) -> None:
        """A tick follows the one before it, or goes back by hours."""
        before_us = self.state.ticks.get("s", 0)
        for event in events:
            if isinstance(event, ev.Ticked) and before_us and not is_set_back(before_us, event.due_us):
                assert event.due_us == after(before_us), f"{event} follows the tick at {before_us}"
                assert not tick.anew

    def live(self, seconds: float) -> None:
        """Let time pass, and each scheduler look."""
        self.wall_us += round(seconds * US)
        for process in self.processes:
            process.live()
            self.wall_us += 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.sampled_from([1.0, 400.0, 700.0, 4_000.0])),
        st.tuples(st.just("correct"), st.sampled_from([-4 * HOUR, -2 * HOUR, -60, 60, 2 * HOUR, 4 * HOUR])),
        st.tuples(st.just("take"), st.integers(1, 9)),
        st.tuples(st.just("take the second's"), st.integers(1, 9)),
        st.tuples(st.just("a scheduler dies"), st.integers(0, 1)),
        st.tuples(st.just("the queue begins anew"), st.just(0)),
        st.tuples(st.just("a process dies"), st.integers(0, 1)),
    ),
    max_size=40,
)


def do(folder: Folder, missed: str, step: tuple[str, Any]) -> None:
    what, how = step
    processes = folder.processes
    match what:
        case "live":
            folder.live(how)
        case "correct":
            folder.wall_us += how * US
        case "take":
            folder.take(processes[0], how)
        case "take the second's":
            folder.take(processes[1], how)
        case "a scheduler dies":
            processes[how].begin()
        case "a process dies":
            processes[how] = Process(folder, missed)
        case _:
            for process in processes:
                process.connect_anew()


def settle(folder: Folder) -> None:
    """Let everything arrive."""
    for _ in range(6):
        folder.live(1.0)
        for process in folder.processes:
            folder.take(process, 10_000)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["all", "last", "none"]), STEPS)
@example(
    "last",  # the second's tick from before the clock was put back is on record before the first's way back
    [
        ("take", 9),
        ("live", 1.0),
        ("take", 9),
        ("take the second's", 9),
        ("live", 1.0),
        ("live", 700.0),
        ("correct", -4 * HOUR),
        ("a process dies", 0),
        ("take", 9),
        ("live", 1.0),
        ("take the second's", 9),
        ("a process dies", 1),
    ],
)
@example(
    "last",  # a tick that the second has sent before is not on record yet when it goes back
    [("take the second's", 1), ("live", 1.0), ("take the second's", 2), ("live", 400.0), ("correct", -4 * HOUR), ("take", 1)],
)
@example(
    "last",  # both go back, each a moment after the other
    [
        ("take", 9),
        ("take the second's", 9),
        ("live", 1.0),
        ("correct", -4 * HOUR),
        ("live", 1.0),
        ("take", 9),
        ("take the second's", 9),
    ],
)
def test_no_tick_is_left_out_whatever_the_wall_clock_and_the_processes_do(missed: str, steps: list[tuple[str, Any]]) -> None:
    folder = Folder()
    folder.processes = [Process(folder, missed), Process(folder, missed)]
    for step in steps:
        do(folder, missed, step)
    settle(folder)
    last_us = folder.state.ticks["s"]
    assert not is_set_back(last_us, folder.wall_us), "the schedule goes on from the new time"
    late_us = folder.wall_us - after(last_us)
    assert late_us <= 0, f"a tick is late by {late_us / US:g} s"
    for process in folder.processes:
        left = [request.command for request in process.pending.outstanding.values()]
        assert not left, "what has come too early is not waited for"


def test_one_that_a_process_sent_before_the_clock_was_put_back_is_forgotten() -> None:
    folder = Folder()
    first, second = folder.processes = [Process(folder, "last"), Process(folder, "last")]
    settle(folder)
    folder.live(700.0)
    folder.take(first, 9)
    folder.live(600.0)
    folder.wall_us -= 4 * HOUR * US
    second.sent.clear()
    settle(folder)
    assert folder.state.ticks["s"] == pytest.approx(folder.wall_us, abs=STEP_US)
    assert not first.pending.outstanding
