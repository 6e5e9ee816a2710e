"""The faults of a scenario: kills, process deaths, power cuts, failing disks, wrong clocks, late and repeated messages.

One entry for each kind, as in `actions`. What must hold in spite of them is in `oracle`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from perdure.chaos.disk.memory_disk import Fault
from perdure.chaos.scenarios.steps.actions import Action, draw_nothing, publish_many

if TYPE_CHECKING:
    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["CLOCK_STEPS", "FAULTS"]


def _kill(sut: SystemUnderTest, pick: int) -> None:
    """Kill an actor between two turns."""
    names = sut.system.actors.keys()
    name = names[pick % len(names)]
    sut.fault_counts[name.partition(":")[0]] += 1
    sut.system.actors.kill(name)


def _kill_soon(sut: SystemUnderTest, points: int) -> None:
    """Kill the actor whose turn it is at one of the next points: between two messages or before a disk operation."""
    sut.fault_counts["actor, in the middle"] += 1
    sut.executor.kill_after = points


def _stall(sut: SystemUnderTest, pick: int, turns: int) -> None:
    """Give an actor no turn for a while: all its messages arrive late, in order."""
    sut.fault_counts["stalled"] += 1
    names = sut.system.actors.keys()
    sut.executor.stalled[names[pick % len(names)]] = sut.executor.steps + turns


def _redeliver(sut: SystemUnderTest, messages: int) -> None:
    """Deliver the next messages between actors twice, where that is harmless."""
    sut.fault_counts["redelivered"] += 1
    sut.system.repeats = messages


def _io_error(sut: SystemUnderTest, at: int, code: int, part: int, times: int) -> None:
    """Let one of the next disk operations fail, and some after it."""
    sut.fault_counts["I/O error"] += 1
    sut.disk.faults = [Fault(at, code, part=part, times=times)]


def _failing_syncs(sut: SystemUnderTest, times: int) -> None:
    """Let every other sync fail, so that what is written again after a failure cannot be synced either."""
    sut.fault_counts["failing syncs"] += 1
    sut.disk.faults = [Fault(1 if i == 0 else 2, errno.EIO, only="sync") for i in range(times)]


def _failing_database(sut: SystemUnderTest, times: int) -> None:
    """Make the host's database, which the relay reads, unreachable for a while."""
    sut.fault_counts["failing database"] += 1
    sut.database.failures = times


def _restart(sut: SystemUnderTest, grace: float, kill: str = "") -> None:
    """Stop and start again. If `kill` names an actor, publish first, and kill that actor just before the stop."""
    if kill:
        publish_many(sut, 3, "plain")
        if kill in sut.system.actors:
            sut.fault_counts[kill] += 1
            sut.system.actors.kill(kill)
    sut.restart(grace)


def _process_death(sut: SystemUnderTest) -> None:
    """End the process between two turns."""
    sut.fault_counts["process"] += 1
    sut.start_successor(sut.disk)


def _process_death_soon(sut: SystemUnderTest, points: int) -> None:
    """End the process at one of the next points, as `_kill_soon`."""
    sut.fault_counts["process, in the middle"] += 1
    sut.executor.die_after = points


def _power_cut(sut: SystemUnderTest, operations: int, seed: int) -> None:
    """Cut the power at one of the next disk operations: what was not synced may be lost."""
    sut.fault_counts["power"] += 1
    sut.cut_in, sut.cut_seed = operations, seed


def _machine_pause(sut: SystemUnderTest, seconds: float) -> None:
    """Let time pass while nothing runs."""
    sut.executor.clock.advance(seconds)
    sut.others.note_disturbance()


def _clock_set_back(sut: SystemUnderTest, seconds: float) -> None:
    """End the process; the next one finds an earlier time of day."""
    sut.fault_counts["process"] += 1
    sut.executor.clock.set_back(seconds)
    sut.set_back_s += seconds
    sut.start_successor(sut.disk)


def _clock_put_forward(sut: SystemUnderTest, seconds: float) -> None:
    """Put the time of day forward, while all processes live."""
    sut.fault_counts["clock put forward"] += 1
    sut.executor.clock.put_forward(seconds)


FAULTS: dict[str, Action] = {
    "kill": Action(2, lambda rng: {"pick": rng.randrange(1000)}, _kill),
    "kill_soon": Action(3, lambda rng: {"points": rng.randrange(1, 60)}, _kill_soon),
    "stall": Action(1, lambda rng: {"pick": rng.randrange(1000), "turns": rng.randrange(5, 60)}, _stall),
    "redeliver": Action(1, lambda rng: {"messages": rng.randrange(1, 20)}, _redeliver),
    "io_error": Action(
        1,
        lambda rng: {
            "at": rng.randrange(1, 12),
            "code": rng.choice((errno.EIO, errno.ENOSPC)),
            "part": rng.choice((0, 10, 100)),
            "times": rng.choice((1, 1, 3)),
        },
        _io_error,
    ),
    "failing_syncs": Action(1, lambda rng: {"times": rng.randrange(1, 6)}, _failing_syncs),
    "failing_database": Action(1, lambda rng: {"times": rng.randrange(1, 6)}, _failing_database),
    "restart": Action(
        2, lambda rng: {"grace": rng.choice((0.0, 5.0)), "kill": rng.choice(("", "queue", "journal", "dispatcher"))}, _restart
    ),
    "process_death": Action(1, draw_nothing, _process_death),
    "process_death_soon": Action(1, lambda rng: {"points": rng.randrange(1, 120)}, _process_death_soon),
    "power_cut": Action(1, lambda rng: {"operations": rng.randrange(1, 25), "seed": rng.getrandbits(32)}, _power_cut),
    "machine_pause": Action(1, lambda rng: {"seconds": rng.choice((10.0, 3_600.0))}, _machine_pause),
    "clock_set_back": Action(1, lambda rng: {"seconds": rng.choice((1.0, 600.0, 7_200.0))}, _clock_set_back),
}

CLOCK_STEPS: dict[str, Action] = {
    "clock_put_forward": Action(1, lambda rng: {"seconds": rng.choice((1.0, 600.0, 7_200.0))}, _clock_put_forward),
}
"""Drawn apart from the others, see `plan.draw`."""
