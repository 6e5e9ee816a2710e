"""The system's clock follows corrections of the wall clock and sleep of the machine, and they end no waiting time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.actors.core import clock as clock_module
from perdure.actors.core.clock import SystemClock
from perdure.actors.services import timer
from perdure.events import vocabulary as ev
from perdure.store import MemoryStore
from tests.machine import HOUR, US, Machine, S
from tests.records import events_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Until


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose clocks the test moves."""
    made = Machine()
    monkeypatch.setattr(clock_module, "time", made)
    monkeypatch.setattr(timer, "LOOK_S", 0.005)
    return made


def test_clock_put_forward_is_followed_and_the_jump_is_not_lived_through(machine: Machine) -> None:
    clock = SystemClock()
    machine.live(10)
    before_us = clock.now_us()
    machine.correct(HOUR)
    machine.live(1)
    assert clock.now_us() == clock.wall_us() == before_us + (HOUR + 1) * US
    assert clock.skipped_us(before_us, clock.now_us()) == HOUR * US
    assert clock.skipped_us(before_us - 5 * US, before_us) == 0
    assert clock.skipped_us(clock.now_us(), clock.now_us() + US) == 0


def test_clock_put_back_never_goes_back_and_is_made_up_for(machine: Machine) -> None:
    clock = SystemClock()
    machine.live(10)
    machine.correct(-60)
    for _ in range(3000):
        before_us = clock.now_us()
        machine.live(0.2)
        passed_us = clock.now_us() - before_us
        assert 0.9 * 0.2 * US - 1 <= passed_us <= 0.2 * US + 20_000
    assert abs(clock.now_us() - clock.wall_us()) <= 0.02 * US
    assert clock.skipped_us(0, clock.now_us()) == 0


@given(st.lists(st.tuples(st.sampled_from(["live", "correct"]), st.floats(-200.0, 200.0)), max_size=30))
def test_it_is_never_late_and_never_goes_back(steps: list[tuple[str, float]]) -> None:
    machine = Machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "time", machine)
        clock = SystemClock()
        before_us = clock.now_us()
        for what, seconds in steps:
            machine.live(abs(seconds)) if what == "live" else machine.correct(seconds)
            machine.live(0.2)
            now_us = clock.now_us()
            assert now_us >= max(before_us, clock.wall_us() - 20_000)
            before_us = now_us


CORRECTIONS = st.sampled_from([1, 60, HOUR, 9 * HOUR, -1, -60, -HOUR, -9 * HOUR])


@given(st.lists(st.tuples(st.floats(1.0, 7200.0), CORRECTIONS), min_size=1, max_size=20))
def test_a_length_of_time_is_lived_through_whatever_the_wall_clock_does(moves: list[tuple[float, int]]) -> None:
    """A lease or a timeout counts without what was skipped; a delay, a time to live or a rate is never longer than that."""
    machine = Machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "time", machine)
        clock = SystemClock()
        began_us, began_ns = clock.now_us(), machine.monotonic
        for seconds, correction in moves:
            machine.live(seconds)
            clock.now_us()  # as the timer does within seconds
            machine.correct(correction)
            machine.live(0.2)
            now_us = clock.now_us()
            lived_us = (machine.monotonic - began_ns) // 1000
            passed_us = now_us - began_us - clock.skipped_us(began_us, now_us)
            # It follows less than a second at a time without a jump, in each look.
            assert 0.9 * lived_us - US <= passed_us <= lived_us + 2 * US * len(moves)


def test_two_readings_far_apart_are_not_compared(machine: Machine) -> None:
    """A thread that is delayed between two readings would otherwise see a jump."""
    clock = SystemClock()
    machine.live(1)
    machine.held_up_s = 3
    clock.now_us()
    assert clock.skipped_us(0, clock.now_us()) == 0


@attrs.frozen
class Job:
    n: int


@pytest.fixture
def system(machine: Machine) -> Iterator[perdure.System]:
    """A system on that machine."""
    with perdure.System(store=MemoryStore(), clock=SystemClock()) as made:
        yield made


def _passes(system: perdure.System, machine: Machine, seconds: float) -> None:
    """Let time pass and wake every actor."""
    machine.live(seconds)
    for _ in range(3):
        system.admin.metrics()


def test_no_jump_ends_a_lease_or_hurries_a_retry_and_moments_come(system: perdure.System, machine: Machine, until: Until) -> None:
    now_s = machine.wall / S
    system.publish(Job(1))
    held = system.checkout(Job, lease=30.0)
    assert held is not None
    system.publish(Job(2), at=now_s + HOUR)
    _passes(system, machine, 10)
    machine.correct(8 * HOUR)
    _passes(system, machine, 10)
    until(lambda: system.admin.metrics().ready == 1)  # the one of a moment
    held.ack()  # ten seconds are left
    assert system.admin.metrics().lease_expired == 0


def test_lease_ends_after_its_time_in_spite_of_a_jump(system: perdure.System, machine: Machine, until: Until) -> None:
    system.publish(Job(1))
    assert system.checkout(Job, lease=30.0) is not None
    _passes(system, machine, 10)
    machine.correct(HOUR)
    _passes(system, machine, 19)
    assert system.admin.metrics().lease_expired == 0
    _passes(system, machine, 2)
    until(lambda: system.admin.metrics().lease_expired == 1)


def test_handler_is_not_timed_out_by_a_jump_and_a_retry_waits_its_pause(machine: Machine, until: Until) -> None:
    begun: list[int] = []
    go_on: list[int] = []
    system = perdure.System(store=MemoryStore(), clock=SystemClock())

    @system.handler(Job, timeout=60.0, lease=60.0, retries=3, backoff=perdure.Fixed(100.0))
    def work(job: Job, ctx: perdure.Context) -> None:
        begun.append(ctx.attempt)
        if ctx.attempt == 1:
            until(lambda: bool(go_on))
            raise ValueError

    with system:
        system.publish(Job(1))
        until(lambda: begun == [1])
        _passes(system, machine, 10)
        machine.correct(HOUR)
        _passes(system, machine, 10)
        go_on.append(1)
        until(lambda: system.admin.metrics().delayed == 1)
        _passes(system, machine, 50)
        machine.correct(HOUR)
        _passes(system, machine, 49)
        now = system.admin.metrics()
        assert (now.failed, now.lease_expired, now.delayed, begun) == (1, 0, 1, [1])
        _passes(system, machine, 2)
        until(lambda: begun == [1, 2])
        system.drain(timeout=20)
    assert [event.exception for event in events_of(ev.AttemptFailed, system.audit.events(type="AttemptFailed"))] == ["ValueError"]


@pytest.mark.parametrize("moved", [HOUR, -HOUR, 30 * HOUR, -30 * HOUR])
def test_schedule_follows_a_corrected_clock(machine: Machine, until: Until, moved: int) -> None:
    """A schedule waits for its last tick where the clock is put back by less than three hours, and continues at once otherwise."""
    due: list[int] = []
    system = perdure.System(store=MemoryStore(), clock=SystemClock())

    @system.every(60.0, name="minutely")
    def note(tick: perdure.Tick, ctx: perdure.Context) -> None:
        due.append(round(tick.due.timestamp()))

    def goes_on() -> bool:
        machine.live(5)
        return len(due) > len(before)

    with system:
        until(lambda: len(list(system.audit.events(type="Ticked"))) == 1)
        before: list[int] = []
        until(goes_on)
        until(lambda: machine.wall // S - due[-1] < 60)  # so that no tick of before comes after the correction
        machine.correct(moved)
        before = list(due)
        until(goes_on)
        lag_s = machine.wall // S - due[-1]
        assert 0 <= lag_s < 1200
        assert (due[-1] > due[-2]) == (moved > -3 * HOUR)


@pytest.mark.parametrize("start_us", [-1, 1 << 63, 1.5, "now", True])
def test_a_manual_clock_starts_at_a_time(start_us: Any) -> None:
    with pytest.raises(ValueError, match=r"^start_us: "):
        perdure.ManualClock(start_us)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), "1", True, 10**30])
def test_a_manual_clock_is_moved_by_a_time(seconds: Any) -> None:
    clock = perdure.ManualClock()
    with pytest.raises(ValueError, match=r"^seconds: "):
        clock.advance(seconds)
    clock.advance(dt.timedelta(seconds=1))
    assert clock.now_us() == 1_700_000_001_000_000
