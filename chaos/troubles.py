"""The troubles of a night: kills, deaths, power cuts, failing disks, wrong clocks, messages that come late or twice.

One entry a kind, as in `doings`; what must hold in spite of them is in `checker`.
"""

from __future__ import annotations

import errno
import itertools
import random
from typing import TYPE_CHECKING

from perdure.chaos.crash import PowerCuts
from perdure.chaos.doings import Doing, nothing, publish_many
from perdure.chaos.memory_disk import Fault

if TYPE_CHECKING:
    from perdure.chaos.memory_disk import MemoryDisk
    from perdure.chaos.night import Night

__all__ = ["TROUBLES", "left_by_a_cut"]

STATES_MAX = 64


def left_by_a_cut(disk: MemoryDisk, seed: int) -> MemoryDisk:
    """Give one of the disks that a power cut could leave of this one."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    return chance.choice(list(itertools.islice(PowerCuts(chance, samples=2).states(disk), STATES_MAX)))


def _kill(night: Night, pick: int) -> None:
    names = night.system.actors.keys()
    name = names[pick % len(names)]
    night.count(name.partition(":")[0])
    night.system.actors.kill(name)


def _kill_soon(night: Night, points: int) -> None:
    night.count("in the middle")
    night.world.kill_after = points


def _stall(night: Night, pick: int, turns: int) -> None:
    """An actor gets no turn for a while: all that it is told comes late, in order."""
    night.count("stalled")
    names = night.system.actors.keys()
    night.world.stalled[names[pick % len(names)]] = night.world.steps + turns


def _repeat(night: Night, messages: int) -> None:
    night.count("told twice")
    night.system.repeats = messages


def _fault(night: Night, at: int, code: int, part: int, times: int) -> None:
    night.count("I/O error")
    night.disk.faults = [Fault(at, code, part=part, times=times)]


def _syncs_fail(night: Night, times: int) -> None:
    """Every other sync fails: what is written again after a failure cannot be synced either."""
    night.count("failed syncs")
    night.disk.faults = [Fault(1 if i == 0 else 2, errno.EIO, only="sync") for i in range(times)]


def _database_fails(night: Night, times: int) -> None:
    """The host's database, which the relay reads, is away for a while."""
    night.count("failures of the host's database")
    night.database.fails = times


def _restart(night: Night, grace: float, amid: str = "") -> None:
    """Stop and start again; where `amid` names an actor, just after work has come in, and after that actor has died."""
    if amid:
        publish_many(night, 3, "plain")
        if amid in night.system.actors:
            night.count(amid)
            night.system.actors.kill(amid)
    night.restart(grace)


def _process_dies(night: Night) -> None:
    night.count("process")
    night.succeed(night.disk)


def _process_dies_soon(night: Night, points: int) -> None:
    night.count("process, in the middle")
    night.world.die_after = points


def _power_cut(night: Night, operations: int, seed: int) -> None:
    """The machine dies at one of the next operations: what was not synced may be gone."""
    night.count("power")
    night.cut_in, night.cut_seed = operations, seed


def _pause_of_the_machine(night: Night, seconds: float) -> None:
    """Nothing runs, and time goes by."""
    night.world.clock.advance(seconds)


def _clock_is_set_back(night: Night, seconds: float) -> None:
    """The process dies, and the next one finds an earlier time of day."""
    night.count("process")
    night.world.clock.set_back(seconds)
    night.set_back_s += seconds
    night.succeed(night.disk)


TROUBLES: dict[str, Doing] = {
    "kill": Doing(2, lambda c: {"pick": c.randrange(1000)}, _kill),
    "kill_soon": Doing(3, lambda c: {"points": c.randrange(1, 60)}, _kill_soon),
    "stall": Doing(1, lambda c: {"pick": c.randrange(1000), "turns": c.randrange(5, 60)}, _stall),
    "repeat": Doing(1, lambda c: {"messages": c.randrange(1, 20)}, _repeat),
    "fault": Doing(
        1,
        lambda c: {
            "at": c.randrange(1, 12),
            "code": c.choice((errno.EIO, errno.ENOSPC)),
            "part": c.choice((0, 10, 100)),
            "times": c.choice((1, 1, 3)),
        },
        _fault,
    ),
    "syncs_fail": Doing(1, lambda c: {"times": c.randrange(1, 6)}, _syncs_fail),
    "database_fails": Doing(1, lambda c: {"times": c.randrange(1, 6)}, _database_fails),
    "restart": Doing(
        2, lambda c: {"grace": c.choice((0.0, 5.0)), "amid": c.choice(("", "queue", "journal", "dispatcher"))}, _restart
    ),
    "process_dies": Doing(1, nothing, _process_dies),
    "process_dies_soon": Doing(1, lambda c: {"points": c.randrange(1, 120)}, _process_dies_soon),
    "power_cut": Doing(1, lambda c: {"operations": c.randrange(1, 25), "seed": c.getrandbits(32)}, _power_cut),
    "pause_of_the_machine": Doing(1, lambda c: {"seconds": c.choice((10.0, 3_600.0))}, _pause_of_the_machine),
    "clock_is_set_back": Doing(1, lambda c: {"seconds": c.choice((1.0, 600.0, 7_200.0))}, _clock_is_set_back),
}
