"""Measure how long the successor of each actor takes to be ready beside a backlog of a given size, with real threads and files.

Some actors recover the whole backlog as their state, others have no state; the times differ accordingly.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.threads.monkey import Monkey
from perdure.options import Options
from perdure.payloads.type_names import message
from perdure.system import System

if TYPE_CHECKING:
    from perdure.chaos.threads.monkey import Recovered

__all__ = ["ROLES", "measure_recovery"]

ROLES = ("queue", "journal", "dispatcher", "dead_letters", "timer", "snapshotter", "supervisor", "worker")
PUBLISHED_AT_ONCE = 10_000


@message(name="recovery.job")
@attrs.frozen
class Job:
    """Work that waits."""

    number: int


def measure_recovery(backlog: int, kills: int, seed: int = 0) -> dict[str, Recovered]:
    """Kill each actor `kills` times while `backlog` messages wait and none is handled. Return the recovery times by role."""
    with tempfile.TemporaryDirectory(prefix="perdure-recovery-") as folder:
        system = System(Path(folder) / "data", options=Options(backlog_max=max(1, 2 * backlog)), seed=seed)
        system.handler(Job)(lambda _job, _ctx: None)
        with system:
            system.admin.pause()
            for start in range(0, backlog, PUBLISHED_AT_ONCE):
                system.publish_many([Job(n) for n in range(start, min(backlog, start + PUBLISHED_AT_ONCE))])
            monkey = Monkey(system, seed=seed)
            order = [role for role in ROLES for _ in range(kills)]
            random.Random(seed).shuffle(order)
            for role in order:
                name = next((name for name in system.actors if name == role or name.startswith(f"{role}:")), None)
                if name is not None:
                    monkey.kill(name)
            return monkey.report()
