"""The groups of loads by name. Each is in a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.console import loads as console
from benchmarks.loads import budget, consume, cpu, floors, publish, storage, trips
from benchmarks.loads.backlogs import cliffs, footprint, growth, spill
from benchmarks.loads.many_processes import members, processes
from benchmarks.peers import peer_loads as peers
from benchmarks.postgres import database_loads as postgres
from benchmarks.telemetry import traced_loads as telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.effort import Effort
    from benchmarks.load import Load

__all__ = ["GROUPS", "find", "floors_of"]

GROUPS: dict[str, Callable[[Effort], Sequence[Load]]] = {
    "publish": publish.loads,
    "consume": consume.loads,
    "trips": trips.loads,
    "processes": lambda effort: [*processes.loads(effort), *members.loads(effort)],
    "postgres": postgres.loads,
    "storage": storage.loads,
    "footprint": footprint.loads,
    "growth": growth.loads,
    "cliffs": cliffs.loads,
    "spill": spill.loads,
    "cpu": cpu.loads,
    "budget": budget.loads,
    "telemetry": telemetry.loads,
    "console": console.loads,
    "peers": peers.loads,
}


def floors_of(loads: Sequence[Load], effort: Effort) -> list[Load]:
    """Return the floors of the loads."""
    wanted = {measure.floor for load in loads for measure in load.measures}
    return [floor for floor in floors.loads(effort) if floor.name in wanted]


def find(group: str, name: str, effort: Effort) -> Load:
    """Return a load or a floor by its name.

    Raises:
        LookupError: there is none.
    """
    for load in (*floors.loads(effort), *GROUPS[group](effort)):
        if load.name == name:
            return load
    msg = f"the group {group} has no load named {name!r}"
    raise LookupError(msg)
