"""Run many scenarios on all processors.

Seeds are handed out in small parts, so that the first failure soon ends the campaign. One scenario is in `scenario`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.scenarios.held_interrupts import held_interrupts
from perdure.chaos.scenarios.plan import draw
from perdure.chaos.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.synchronize import Event

__all__ = ["Tally", "run_campaign"]

PART = 8
LOOK_S = 0.1
"""How long an interrupt waits at most until it is delivered."""


@attrs.define
class Tally:
    """The totals of some scenarios."""

    scenarios: int = 0
    turns: int = 0
    simulated_s: float = 0.0
    faults: dict[str, int] = attrs.field(factory=dict)
    failed: list[tuple[int, str]] = attrs.field(factory=list)
    """(seed, error) of each scenario that broke the contract."""

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.scenarios += other.scenarios
        self.turns += other.turns
        self.simulated_s += other.simulated_s
        for name, n in other.faults.items():
            self.faults[name] = self.faults.get(name, 0) + n
        self.failed += other.failed


_asked_to_stop: Event | None = None
"""Shared by the processes of one campaign: set when it is interrupted."""


def run_part(seeds: list[int]) -> Tally:
    """Run some scenarios up to the first failure or an interrupt. Called in a process of its own."""
    tally = Tally()
    for seed in seeds:
        if _asked_to_stop is not None and _asked_to_stop.is_set():
            break
        scenario = Scenario(draw(seed))
        try:
            scenario.run()
        except Exception as error:  # noqa: BLE001 - any failure of a scenario is reported
            tally.failed.append((seed, repr(error)))
        tally.add(Tally(1, scenario.steps, scenario.simulated_s, dict(scenario.sut.fault_counts)))
        if tally.failed:
            break
    return tally


def run_campaign(
    seeds: Iterable[int],
    *,
    processes: int | None = None,
    seconds: float | None = None,
    on_progress: Callable[[int], None] = lambda _scenarios: None,
    total: Tally | None = None,
) -> Tally:
    """Run scenarios until all are done, one has failed, or (after the first part) the time is over. Return the totals.

    Args:
        seeds: one for each scenario; may be endless if `seconds` is given.
        processes: how many run at once; the number of processors unless given.
        seconds: start no further part after so long.
        on_progress: called with the number of scenarios whenever some are done.
        total: the tally to add to, which is right also when the caller is interrupted; new unless given.

    Raises:
        KeyboardInterrupt: Ctrl-C; each process ends the scenario that it runs.
    """
    count = processes or os.cpu_count() or 1
    parts = _parts(iter(seeds))
    total = Tally() if total is None else total
    until_s = None if seconds is None else time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    asked = context.Event()
    with (
        held_interrupts() as deliver_interrupt,
        ProcessPoolExecutor(count, mp_context=context, initializer=_begin_process, initargs=(asked,)) as pool,
    ):
        under_way: set[Future[Tally]] = {pool.submit(run_part, part) for _, part in zip(range(2 * count), parts, strict=False)}
        while under_way:
            try:
                deliver_interrupt()
            except KeyboardInterrupt:
                asked.set()
                pool.shutdown(wait=False, cancel_futures=True)  # each process ends the scenario that it runs
                raise
            done, under_way = wait(under_way, LOOK_S, return_when=FIRST_COMPLETED)
            for future in done:
                tally = future.result()
                total.add(tally)
                on_progress(tally.scenarios)
            over = total.failed or (until_s is not None and time.monotonic() > until_s)
            if over:
                under_way = {future for future in under_way if not future.cancel()}
                continue
            under_way |= {pool.submit(run_part, part) for _, part in zip(done, parts, strict=False)}
    return total


def _begin_process(asked_to_stop: Event) -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes: the parent ends this one."""
    global _asked_to_stop  # noqa: PLW0603 - the state of a process of the pool
    _asked_to_stop = asked_to_stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _parts(seeds: Iterator[int]) -> Iterator[list[int]]:
    while part := [seed for _, seed in zip(range(PART), seeds, strict=False)]:
        yield part
