"""Many nights, on all processors: each in a process that runs many, in no order; what a night is, is in `scenario`.

The work is handed out in small parts, so that the first failure ends it soon.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.simulation.plan import draw
from perdure.chaos.simulation.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.synchronize import Event

__all__ = ["Tally", "run_campaign"]

PART = 8


@attrs.define
class Tally:
    """What some nights came to."""

    scenarios: int = 0
    turns: int = 0
    simulated_s: float = 0.0
    faults: dict[str, int] = attrs.field(factory=dict)
    failed: list[tuple[int, str]] = attrs.field(factory=list)
    """(seed, error) of each night that broke a promise."""

    def add(self, other: Tally) -> None:
        """Add another's numbers."""
        self.scenarios += other.scenarios
        self.turns += other.turns
        self.simulated_s += other.simulated_s
        for name, n in other.faults.items():
            self.faults[name] = self.faults.get(name, 0) + n
        self.failed += other.failed


_asked_to_stop: Event | None = None
"""Shared by the processes of one run: set when it is interrupted."""


def run_part(seeds: list[int]) -> Tally:
    """Run some nights, up to the first that fails or an interrupt. Runs in a process of its own."""
    tally = Tally()
    for seed in seeds:
        if _asked_to_stop is not None and _asked_to_stop.is_set():
            break
        scenario = Scenario(draw(seed))
        try:
            scenario.run()
        except Exception as error:  # noqa: BLE001 - any failure of a night is one to tell
            tally.failed.append((seed, repr(error)))
        tally.add(Tally(1, scenario.steps, scenario.simulated_s, dict(scenario.deaths)))
        if tally.failed:
            break
    return tally


def run_campaign(
    seeds: Iterable[int],
    *,
    processes: int | None = None,
    seconds: float | None = None,
    told: Callable[[int], None] = lambda _nights: None,
    total: Tally | None = None,
) -> Tally:
    """Run nights until all are done, one has failed, or (after the first part) the time is over.

    Args:
        seeds: of the nights; may be endless where there is a time.
        processes: how many at once; as many as there are processors unless given.
        seconds: begin no more nights after so long.
        told: called with the number of nights whenever some are done.
        total: counts what was done so far, also where the caller is interrupted; made new unless given.
    """
    count = processes or os.cpu_count() or 1
    parts = _parts(iter(seeds))
    total = Tally() if total is None else total
    until_s = None if seconds is None else time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    asked = context.Event()
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin_process, initargs=(asked,)) as pool:
        under_way: set[Future[Tally]] = {pool.submit(run_part, part) for _, part in zip(range(2 * count), parts, strict=False)}
        while under_way:
            try:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                asked.set()
                pool.shutdown(wait=False, cancel_futures=True)  # the night that each process is in, it ends
                raise
            for future in done:
                tally = future.result()
                total.add(tally)
                told(tally.scenarios)
            over = total.failed or (until_s is not None and time.monotonic() > until_s)
            if over:
                under_way = {future for future in under_way if not future.cancel()}
                continue
            under_way |= {pool.submit(run_part, part) for _, part in zip(done, parts, strict=False)}
    return total


def _begin_process(asked_to_stop: Event) -> None:
    """Leave Ctrl-C to the parent: a terminal sends it to all processes, and the parent ends these."""
    global _asked_to_stop  # noqa: PLW0603 - what a process of the pool is given, it keeps
    _asked_to_stop = asked_to_stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _parts(seeds: Iterator[int]) -> Iterator[list[int]]:
    while part := [seed for _, seed in zip(range(PART), seeds, strict=False)]:
        yield part
