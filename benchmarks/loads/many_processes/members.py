"""Handlers in other processes than the folder's owner: the whole trip, and work that holds the interpreter's lock.

Each load measures what one process reaches by itself first, in the same run.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job, together
from benchmarks.loads.cpu import BARE, CORES, PROCESSES, THREADS, bare, handled, work
from benchmarks.loads.floors import HAND_OFF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["loads"]

OWN_TRIP = "owner: whole trip, batches of 100, one worker"
MEMBERS_TRIP = "member: whole trip, batches of 100, one worker"
TWO_MEMBERS = "CPU-bound, two members with a worker each"
BATCH = 100
DRAIN_S = 300.0


@contextlib.contextmanager
def _members(folder: Path, n: int, what: str) -> Iterator[None]:
    """Run processes with one worker each; `what` names the function here that it calls."""
    words = [sys.executable, "-m", __name__, str(folder), what]
    running = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(n)]
    try:
        for process in running:
            if process.stdout is None or not process.stdout.readline():
                msg = "a member did not start"
                raise RuntimeError(msg)
        yield
    finally:
        for process in running:
            process.communicate()


def _trip(system: perdure.System, seconds: float) -> float:
    messages = [job(i) for i in range(BATCH)]
    began = time.perf_counter()
    together(1, seconds, lambda _: len(system.publish_many(messages)))
    system.drain(DRAIN_S)
    return system.admin.metrics().completed / (time.perf_counter() - began)


def _trips(folder: Path, seconds: float) -> tuple[float, float]:
    """Return the trips a second that are handled in the owner, and in a member of an owner without handlers."""
    alone = perdure.System(folder / "alone")
    alone.handler(Job)(_nothing)
    with alone:
        own = _trip(alone, seconds)
    with perdure.System(folder / "shared", shared=True) as system, _members(folder / "shared", 1, "_nothing"):
        return own, _trip(system, seconds)


def _computed(folder: Path, calls: int) -> tuple[float, float, float, float]:
    """Return calls a second of threads in one process, of process handlers, of two members, and of bare processes.

    Each of the members has one worker. The last show what the machine can do at all. Beside two members the owner runs too.
    """
    threads, _ = handled(folder / "threads", calls, "thread")
    processes, _ = handled(folder / "processes", calls, "process")
    with perdure.System(folder / "shared", shared=True) as system, _members(folder / "shared", 2, "_compute"):
        system.publish_many([job(i) for i in range(2 * CORES)])
        system.drain(DRAIN_S)  # as `handled` does: each worker has begun, and it is known how long a call takes
        began = time.perf_counter()
        system.publish_many([job(i) for i in range(calls)])
        system.drain(DRAIN_S)
        members = calls / (time.perf_counter() - began)
    return threads, processes, members, bare(calls)


def _nothing(_message: Job) -> None:
    """Do nothing."""


def _compute(message: Job) -> None:
    work(message.quantity)


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    trips = (Measure(OWN_TRIP, "messages/s", HAND_OFF), Measure(MEMBERS_TRIP, "messages/s", HAND_OFF))
    names = (f"beside members: {THREADS}", f"beside members: {PROCESSES}", TWO_MEMBERS, f"beside members: {BARE}")
    computed = tuple(Measure(name, "calls/s") for name in names)
    return [
        Load("the whole trip in the owner and in a member", trips, lambda folder: _trips(folder, effort.seconds)),
        Load("work in one process and in two members", computed, lambda folder: _computed(folder, effort.cpu_calls)),
    ]


if __name__ == "__main__":
    member = perdure.System(sys.argv[1], shared=True, ownership="never")
    member.handler(Job)(_compute if sys.argv[2] == "_compute" else _nothing)
    with member:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        sys.stdin.read()
