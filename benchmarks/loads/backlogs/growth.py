"""What growth costs: throughput beside a backlog, the start of a long log, and how long a snapshot delays a publish."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import perdure
from benchmarks import folders
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, Prepared, job
from benchmarks.loads import storage
from benchmarks.loads.floors import HAND_OFF, SYNC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["STALL", "STALL_BEFORE", "loads", "opening", "replaying", "trip_beside"]

STALL = "longest publish during a snapshot of the largest backlog"
STALL_BEFORE = "longest publish in the second before that"
STEP_MAX = 250
"""So many messages are published whenever as many were handled, so that the backlog keeps its size."""
STUCK_S = 60.0


def trip_beside(backlog: int) -> str:
    """Return the name of the throughput with a backlog."""
    return f"whole trip with {backlog:,} waiting"


def opening(backlog: int) -> str:
    """Return the name of the opening of a backlog."""
    return f"open {backlog:,} waiting from a snapshot"


def replaying(events: int) -> str:
    """Return the name of the replay of a log."""
    return f"replay a log of {events:,} events"


def steady(folder: Path, seconds: float, backlog: int) -> float:
    """Publish as fast as messages are handled, so that about `backlog` of them always wait. Return messages handled a second."""
    system = perdure.System(folder, options=folders.roomy(backlog))
    room = threading.Semaphore(0)
    handled, step = 0, min(STEP_MAX, backlog // 4)  # no backlog may be used up before more comes

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        nonlocal handled
        handled += 1
        if not handled % step:
            room.release()

    with system:
        system.admin.pause()
        folders.publish(system, backlog)
        system.admin.resume()
        began = time.perf_counter()
        warm_s, warm = 0.0, 0
        while (now_s := time.perf_counter() - began) < 1.5 * seconds:
            if not warm_s and now_s > seconds / 2:  # the first third does not count
                warm_s, warm = now_s, handled
            if not room.acquire(timeout=STUCK_S):
                msg = f"no {step} messages were handled within {STUCK_S:g} s"
                raise TimeoutError(msg)
            system.publish_many([job(i) for i in range(step)])
        rate = (handled - warm) / (time.perf_counter() - began - warm_s)
        system.stop(grace=0.0)
    return rate


def stall(folder: Path, backlog: int) -> tuple[float, float]:
    """Publish one by one before and during a snapshot. Return the longest publish during and before it, in ms."""
    longest_ms = {False: 0.0, True: 0.0}
    during = threading.Event()
    over = threading.Event()
    errors: list[Exception] = []
    with perdure.System(folder, options=folders.roomy(backlog)) as system:

        def publish() -> None:
            i = 0
            try:
                while not over.is_set():
                    began, under_way = time.perf_counter(), during.is_set()
                    system.publish(job(i))
                    took_ms = (time.perf_counter() - began) * 1000
                    # A publish that overlaps the beginning or end of the snapshot counts as one during it.
                    under_way = under_way or during.is_set()
                    longest_ms[under_way] = max(longest_ms[under_way], took_ms)
                    i += 1
            except Exception as error:  # noqa: BLE001 - raised in the waiting thread
                errors.append(error)

        publisher = threading.Thread(target=publish)
        publisher.start()
        time.sleep(1.0)
        during.set()
        system.admin.snapshot()
        during.clear()
        over.set()
        publisher.join()
    if errors:
        raise errors[0]
    return longest_ms[True], longest_ms[False]


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    largest = effort.backlogs[-1]
    made: list[Load] = []
    for backlog in effort.backlogs:
        name, waiting = trip_beside(backlog), Prepared("waiting", backlog)
        measure = Measure(name, "messages/s", HAND_OFF)
        made.append(Load(name, (measure,), partial(steady, seconds=effort.seconds, backlog=backlog)))
        measure = Measure(opening(backlog), "messages/s", HAND_OFF)
        made.append(Load(measure.name, (measure,), partial(storage.opened, size=backlog), waiting))
    for events in effort.logs:
        measure = Measure(replaying(events), "events/s", HAND_OFF)
        made.append(Load(measure.name, (measure,), lambda folder: storage.replayed(folder)[0], Prepared("ended", events)))
    measures = (Measure(STALL, "ms", SYNC), Measure(STALL_BEFORE, "ms", SYNC))
    made.append(Load("stall", measures, lambda folder: stall(folder, largest), Prepared("waiting", largest)))
    return made
