"""The two that are compared, perdure and the queue written by hand: each publishes, or makes the whole trip, in short turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.load import Job, job, together
from benchmarks.postgres.skip_locked import SkipLocked

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_turns", "opened", "publishing", "tripping"]

TURNS = 6
"""How often the two take turns in a run."""
BACKLOG_MAX = 10_000_000
"""Nothing is handled in some loads, and some seconds of batches exceed the default bound."""
DRAIN_S = 120.0


def opened(dsn: str) -> perdure.System:
    """Return a system, not yet started, whose log is in the database."""
    return perdure.System(store=perdure.PostgresStore(dsn, name="benchmark"), options=perdure.Options(backlog_max=BACKLOG_MAX))


def publishing(dsn: str, seconds: float, producers: int, size: int = 1) -> tuple[float, float]:
    """Return messages a second that are published and not handled, by perdure and by hand."""
    batch = [job(i) for i in range(size)]
    with opened(dsn) as system, SkipLocked(dsn, producers) as by_hand:

        def ours(i: int) -> int:
            if size > 1:
                return len(system.publish_many(batch))
            system.publish(job(i))
            return 1

        def theirs(i: int) -> int:
            return by_hand.publish_many(i, size) if size > 1 else by_hand.publish(i)

        return in_turns(lambda s: together(producers, s, ours), lambda s: together(producers, s, theirs), seconds)


def tripping(dsn: str, seconds: float, size: int) -> tuple[float, float]:
    """Return messages a second from the first publish to the last completion, by perdure and by hand."""
    system = opened(dsn)
    batch = [job(i) for i in range(size)]

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        pass

    def ours(for_s: float) -> float:
        sent, began = 0, time.perf_counter()
        while time.perf_counter() < began + for_s:
            if size > 1:
                sent += len(system.publish_many(batch))
            else:
                system.publish(batch[0])
                sent += 1
        system.drain(DRAIN_S)
        return sent / (time.perf_counter() - began)

    with system, SkipLocked(dsn) as by_hand:
        return in_turns(ours, lambda s: by_hand.trip(s, size), seconds)


def in_turns(ours: Callable[[float], float], theirs: Callable[[float], float], seconds: float) -> tuple[float, float]:
    """Run two for some seconds each, in short turns; return the mean of what each has returned."""
    each_s = seconds / TURNS
    ours(each_s / 2)
    theirs(each_s / 2)  # warm: connections, prepared statements, the first blocks of the tables
    pairs = [(ours(each_s), theirs(each_s)) for _ in range(TURNS)]
    return sum(a for a, _ in pairs) / TURNS, sum(b for _, b in pairs) / TURNS
