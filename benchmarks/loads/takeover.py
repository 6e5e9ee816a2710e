"""From kill -9 of the owner of a shared folder to the first publish that a member has answered, with nothing and with much waiting.

The member is this process; it takes over. A takeover reads the log, so what waits decides how long it takes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Load, job
from benchmarks.loads.floors import SYNC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["loads"]

WAITING = 100_000
BATCH = 1_000
OWNER = """
import sys, perdure
with perdure.System(sys.argv[1], shared=True, options=perdure.Options(backlog_max=1_000_000)):
    print("up", flush=True)
    sys.stdin.read()
"""


def _once(folder: Path, waiting: int) -> float:
    """Return how long a takeover takes, in milliseconds."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if owner.stdout is None or not owner.stdout.readline():
            msg = "the owner did not start"
            raise RuntimeError(msg)
        with perdure.System(folder, shared=True, options=perdure.Options(backlog_max=1_000_000)) as member:
            for first in range(0, waiting, BATCH):
                member.publish_many([job(i) for i in range(first, first + BATCH)])
            member.publish(job(0))
            began = time.perf_counter()
            owner.kill()
            member.publish(job(1))
            return (time.perf_counter() - began) * 1000
    finally:
        owner.kill()
        owner.communicate()


def _takeovers(folder: Path, times: int, waiting: int) -> tuple[float, float]:
    """Return the median and the longest of some takeovers."""
    took = [_once(folder / str(n), waiting) for n in range(times)]
    return statistics.median(took), max(took)


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of takeovers."""
    times = effort.takeovers

    def load(what: str, waiting: int) -> Load:
        measures = tuple(
            Measure(f"takeover with {what} waiting, {which}", "ms", SYNC) for which in ("median", f"longest of {times}")
        )
        return Load(f"takeover with {what} waiting", measures, lambda folder: _takeovers(folder, times, waiting))

    return [load("nothing", 0), load(f"{WAITING:,}", WAITING)]
