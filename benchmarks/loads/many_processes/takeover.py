"""From kill -9 of the owner of a shared folder to the first publish that a member has answered, with nothing and with much waiting.

The member is this process; it takes over. A takeover reads the log, so what waits decides how long it takes, unless the member is a
deputy, which has read it before. Processor time is this process's, from the kill to the answer: it means as much on a busy machine.
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


def _once(folder: Path, waiting: int, *, deputy: bool) -> tuple[float, float]:
    """Return how long a takeover takes, and how much time of a processor, in milliseconds."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if owner.stdout is None or not owner.stdout.readline():
            msg = "the owner did not start"
            raise RuntimeError(msg)
        with perdure.System(folder, shared=True, deputy=deputy, options=perdure.Options(backlog_max=1_000_000)) as member:
            for first in range(0, waiting, BATCH):
                member.publish_many([job(i) for i in range(first, first + BATCH)])
            member.publish(job(0))
            while deputy and (member.deputy_seq or 0) <= waiting:
                time.sleep(0.01)
            began_s, cpu_s = time.perf_counter(), time.process_time()
            owner.kill()
            member.publish(job(1))
            return (time.perf_counter() - began_s) * 1000, (time.process_time() - cpu_s) * 1000
    finally:
        owner.kill()
        owner.communicate()


def _takeovers(folder: Path, times: int, waiting: int, *, deputy: bool) -> tuple[float, float, float]:
    """Return the median and the longest of some takeovers, and the median of their processor time."""
    took = [_once(folder / str(n), waiting, deputy=deputy) for n in range(times)]
    return statistics.median(all_s for all_s, _ in took), max(all_s for all_s, _ in took), statistics.median(cpu for _, cpu in took)


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of takeovers."""
    times = effort.takeovers

    def load(what: str, waiting: int, *, deputy: bool) -> Load:
        name = f"takeover {'by a deputy ' if deputy else ''}with {what} waiting"
        which = ("median", f"longest of {times}", "processor time, median")
        measures = tuple(Measure(f"{name}, {one}", "ms", SYNC) for one in which)
        return Load(name, measures, lambda folder: _takeovers(folder, times, waiting, deputy=deputy))

    all_waiting = (("nothing", 0), (f"{WAITING:,}", WAITING))
    return [load(what, waiting, deputy=deputy) for deputy in (False, True) for what, waiting in all_waiting]
