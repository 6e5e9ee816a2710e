"""Steps of takeovers: the owner ends, and another process becomes the owner: a deputy, or one that was quicker, or dies as well.

Deaths of the owner in the middle of something are in `faults`; where a deputy is there, it takes over from these, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.chaos.scenarios.steps.actions import Action, draw_nothing

if TYPE_CHECKING:
    import random

    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["TAKEOVERS"]


def _absent_owner(sut: SystemUnderTest, seconds: float) -> None:
    """Kill the process that owns the folder, and start the next one later. Clients go on meanwhile."""
    sut.fault_counts["absent owner"] += 1
    sut.others.lose_owner()
    sut.executor.forget_all()
    sut.executor.run_until(lambda: False, seconds)
    sut.start_successor(sut.disk)


def _owner_death(sut: SystemUnderTest) -> None:
    """Kill the process that owns the folder."""
    sut.start_successor(sut.disk)


def _deputy_joins(sut: SystemUnderTest) -> None:
    """Let another process follow the log, unless one does."""
    sut.fault_counts["deputy joins"] += 1
    sut.start_deputy()


def _draw_death(rng: random.Random) -> dict[str, Any]:
    return {"points": rng.randrange(1, rng.choice((12, 120))), "race": rng.choice((False, True))}


def _death_in_takeover(sut: SystemUnderTest, points: int, race: bool) -> None:
    """Kill the owner, and its successor at one of the points of its start. In a race that is not the deputy, if there is one."""
    sut.fault_counts["death in a takeover"] += 1
    sut.start_successor(sut.disk, passes_deputy=race, dies_in=points)


TAKEOVERS: dict[str, Action] = {
    "absent_owner": Action(1, lambda rng: {"seconds": rng.choice((0.5, 5.0, 40.0))}, _absent_owner),
    "owner_death": Action(1, draw_nothing, _owner_death),
    "deputy_joins": Action(3, draw_nothing, _deputy_joins),
    "death_in_takeover": Action(2, _draw_death, _death_in_takeover),
}
