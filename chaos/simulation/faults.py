"""The troubles of a night: kills, deaths, power cuts, failing disks, wrong clocks, messages that come late or twice.

One entry a kind, as in `doings`; what must hold in spite of them is in `checker`.
"""

from __future__ import annotations

import errno
import itertools
import random
from typing import TYPE_CHECKING

from perdure.chaos.disk.crash_states import PowerCuts
from perdure.chaos.disk.memory_disk import Fault
from perdure.chaos.simulation.actions import Action, nothing, publish_many

if TYPE_CHECKING:
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.simulation.scenario import Scenario

__all__ = ["FAULTS", "left_by_a_cut"]

STATES_MAX = 64


def left_by_a_cut(disk: MemoryDisk, seed: int) -> MemoryDisk:
    """Give one of the disks that a power cut could leave of this one."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    return rng.choice(list(itertools.islice(PowerCuts(rng, samples=2).states(disk), STATES_MAX)))


def _kill(scenario: Scenario, pick: int) -> None:
    names = scenario.system.actors.keys()
    name = names[pick % len(names)]
    scenario.count(name.partition(":")[0])
    scenario.system.actors.kill(name)


def _kill_soon(scenario: Scenario, points: int) -> None:
    scenario.count("in the middle")
    scenario.executor.kill_after = points


def _stall(scenario: Scenario, pick: int, turns: int) -> None:
    """An actor gets no turn for a while: all that it is told comes late, in order."""
    scenario.count("stalled")
    names = scenario.system.actors.keys()
    scenario.executor.stalled[names[pick % len(names)]] = scenario.executor.steps + turns


def _repeat(scenario: Scenario, messages: int) -> None:
    scenario.count("told twice")
    scenario.system.repeats = messages


def _fault(scenario: Scenario, at: int, code: int, part: int, times: int) -> None:
    scenario.count("I/O error")
    scenario.disk.faults = [Fault(at, code, part=part, times=times)]


def _syncs_fail(scenario: Scenario, times: int) -> None:
    """Every other sync fails: what is written again after a failure cannot be synced either."""
    scenario.count("failed syncs")
    scenario.disk.faults = [Fault(1 if i == 0 else 2, errno.EIO, only="sync") for i in range(times)]


def _database_fails(scenario: Scenario, times: int) -> None:
    """The host's database, which the relay reads, is away for a while."""
    scenario.count("failures of the host's database")
    scenario.database.fails = times


def _restart(scenario: Scenario, grace: float, amid: str = "") -> None:
    """Stop and start again; where `amid` names an actor, just after work has come in, and after that actor has died."""
    if amid:
        publish_many(scenario, 3, "plain")
        if amid in scenario.system.actors:
            scenario.count(amid)
            scenario.system.actors.kill(amid)
    scenario.restart(grace)


def _process_dies(scenario: Scenario) -> None:
    scenario.count("process")
    scenario.succeed(scenario.disk)


def _process_dies_soon(scenario: Scenario, points: int) -> None:
    scenario.count("process, in the middle")
    scenario.executor.die_after = points


def _power_cut(scenario: Scenario, operations: int, seed: int) -> None:
    """The machine dies at one of the next operations: what was not synced may be gone."""
    scenario.count("power")
    scenario.cut_in, scenario.cut_seed = operations, seed


def _pause_of_the_machine(scenario: Scenario, seconds: float) -> None:
    """Nothing runs, and time goes by."""
    scenario.executor.clock.advance(seconds)


def _clock_is_set_back(scenario: Scenario, seconds: float) -> None:
    """The process dies, and the next one finds an earlier time of day."""
    scenario.count("process")
    scenario.executor.clock.set_back(seconds)
    scenario.set_back_s += seconds
    scenario.succeed(scenario.disk)


FAULTS: dict[str, Action] = {
    "kill": Action(2, lambda c: {"pick": c.randrange(1000)}, _kill),
    "kill_soon": Action(3, lambda c: {"points": c.randrange(1, 60)}, _kill_soon),
    "stall": Action(1, lambda c: {"pick": c.randrange(1000), "turns": c.randrange(5, 60)}, _stall),
    "repeat": Action(1, lambda c: {"messages": c.randrange(1, 20)}, _repeat),
    "fault": Action(
        1,
        lambda c: {
            "at": c.randrange(1, 12),
            "code": c.choice((errno.EIO, errno.ENOSPC)),
            "part": c.choice((0, 10, 100)),
            "times": c.choice((1, 1, 3)),
        },
        _fault,
    ),
    "syncs_fail": Action(1, lambda c: {"times": c.randrange(1, 6)}, _syncs_fail),
    "database_fails": Action(1, lambda c: {"times": c.randrange(1, 6)}, _database_fails),
    "restart": Action(
        2, lambda c: {"grace": c.choice((0.0, 5.0)), "amid": c.choice(("", "queue", "journal", "dispatcher"))}, _restart
    ),
    "process_dies": Action(1, nothing, _process_dies),
    "process_dies_soon": Action(1, lambda c: {"points": c.randrange(1, 120)}, _process_dies_soon),
    "power_cut": Action(1, lambda c: {"operations": c.randrange(1, 25), "seed": c.getrandbits(32)}, _power_cut),
    "pause_of_the_machine": Action(1, lambda c: {"seconds": c.choice((10.0, 3_600.0))}, _pause_of_the_machine),
    "clock_is_set_back": Action(1, lambda c: {"seconds": c.choice((1.0, 600.0, 7_200.0))}, _clock_is_set_back),
}
