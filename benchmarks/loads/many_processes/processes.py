"""Publishing from another process: a client of a shared folder, beside the owner's own publishing in the same run.

Nothing is handled. Each load measures the owner, in this process, and clients whose owner is a process of its own.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Load, job, together
from benchmarks.loads.floors import HAND_OFF, SYNC
from benchmarks.loads.many_processes import takeover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from benchmarks.effort import Effort

    Publisher = perdure.System | perdure.Client

__all__ = ["loads"]

BACKLOG_MAX = 10_000_000
"""Nothing is handled, and some seconds of batches exceed the default bound."""
PIPELINED_MAX = 200_000
TURNS = 5
"""Of the owner and of a client, one after the other."""
OWNER = f"""
import sys, perdure
with perdure.System(sys.argv[1], shared=True, options=perdure.Options(backlog_max={BACKLOG_MAX})):
    print("up", flush=True)
    sys.stdin.read()
"""

CLIENT = """
import sys, perdure
from benchmarks.loads.many_processes.processes import LOADS
with perdure.connect(sys.argv[1], timeout=60) as client:
    print("up", flush=True)
    sys.stdin.readline()
    print(LOADS[sys.argv[2]](client, float(sys.argv[3])), flush=True)
"""


@contextlib.contextmanager
def _owner(folder: Path) -> Iterator[None]:
    """Run an owner in a process of its own."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if owner.stdout is None or not owner.stdout.readline():
            msg = "the owner did not start"
            raise RuntimeError(msg)
        yield
    finally:
        owner.communicate()


@contextlib.contextmanager
def _client(folder: Path) -> Iterator[perdure.Client]:
    """Give a client of an owner that is a process of its own."""
    with _owner(folder), perdure.connect(folder, timeout=60) as client:
        yield client


def _clients(folder: Path, load: str, seconds: float, processes: int) -> float:
    """Return what clients in processes of their own reach together."""
    with _owner(folder):
        command = [sys.executable, "-c", CLIENT, str(folder), load, str(seconds)]
        clients = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        for client in clients:
            if client.stdout is None or not client.stdout.readline():
                msg = "a client did not start"
                raise RuntimeError(msg)
        for client in clients:
            if client.stdin is not None:
                client.stdin.write("go\n")
                client.stdin.flush()
        return sum(float(client.communicate()[0]) for client in clients)


def _both(folder: Path, seconds: float, measure: Callable[[Publisher, float], float]) -> tuple[float, float]:
    """Return what the owner reaches by itself, and what a client reaches.

    They take turns, of which the medians count: a disk may be several times as fast a second later.
    """
    alone = perdure.System(folder / "owner", options=perdure.Options(backlog_max=BACKLOG_MAX))
    with alone, _client(folder / "shared") as client:
        turns = [(measure(alone, seconds / TURNS), measure(client, seconds / TURNS)) for _ in range(TURNS)]
    return statistics.median(own for own, _ in turns), statistics.median(others for _, others in turns)


def _one_by_one(publisher: Publisher, seconds: float, producers: int) -> float:
    def publish(i: int) -> int:
        publisher.publish(job(i))
        return 1

    return together(producers, seconds, publish)


def _pipelined(publisher: Publisher, seconds: float) -> float:
    futures: list[Future[str]] = []
    began = time.perf_counter()
    while time.perf_counter() < began + seconds and len(futures) < PIPELINED_MAX:
        futures.append(publisher.submit(job(len(futures))))
    ids = {future.result() for future in futures}
    return len(ids) / (time.perf_counter() - began)


def _batches(publisher: Publisher, seconds: float) -> float:
    messages = [job(i) for i in range(500)]
    return together(1, seconds, lambda _: len(publisher.publish_many(messages)))


def _slow_ms(publisher: Publisher, seconds: float) -> float:
    """Return the 99th percentile of the time that a publish takes, in milliseconds."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        publisher.publish(job(len(times)))
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) * 99 // 100] * 1000


LOADS: dict[str, Callable[[Publisher, float], float]] = {
    "publish": lambda publisher, seconds: _one_by_one(publisher, seconds, 1),
    "submit": _pipelined,
}
"""By name, what a client in a process of its own does."""


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    seconds = effort.seconds

    def load(name: str, floor: str, measure: Callable[[Publisher, float], float]) -> Load:
        measures = tuple(Measure(f"{whose}: {name}", "messages/s", floor) for whose in ("owner", "client"))
        return Load(f"owner and client: {name}", measures, lambda folder: _both(folder, seconds, measure))

    def together_load(name: str, what: str, floor: str, threads: int, processes: int) -> Load:
        """Threads of the owner, then as many or other processes with a client each."""

        def run(folder: Path) -> tuple[float, float]:
            with perdure.System(folder / "owner", options=perdure.Options(backlog_max=BACKLOG_MAX)) as system:
                own = _one_by_one(system, seconds, threads) if what == "publish" else _pipelined(system, seconds)
            return own, _clients(folder / "shared", what, seconds, processes)

        measures = (
            Measure(f"owner, {threads} thread(s): {name}", "messages/s", floor),
            Measure(f"{processes} clients: {name}", "messages/s", floor),
        )
        return Load(f"owner and clients: {name}", measures, run)

    slowest = tuple(Measure(f"{whose}: publish, p99", "ms", SYNC) for whose in ("owner", "client"))
    return [
        Load("owner and client: publish, p99", slowest, lambda folder: _both(folder, seconds, _slow_ms)),
        together_load("publish, four at once", "publish", SYNC, 4, 4),
        together_load("submit, two clients", "submit", HAND_OFF, 1, 2),
        load("publish, one producer", SYNC, lambda publisher, turn_s: _one_by_one(publisher, turn_s, 1)),
        load("publish, 10 producers", SYNC, lambda publisher, turn_s: _one_by_one(publisher, turn_s, 10)),
        load("submit, one producer", HAND_OFF, _pipelined),
        load("publish_many of 500", HAND_OFF, _batches),
        *takeover.loads(effort),
    ]
