"""Renewed leases: a slow handler that is alive keeps its message, even while its thread never lets go of the interpreter.

Leases that expire are in `test_leases`.
"""

from __future__ import annotations

import ctypes
import threading
from functools import partial
from typing import TYPE_CHECKING

import attrs

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Job:
    number: int
    how: str = ""


def test_renewed_lease_outlasts_a_silent_handler(folder: Path, collected: Collected, until: Until) -> None:
    """Scenario 53: a slow handler that is alive is never run beside itself, without a word from its own thread."""
    system = perdure.System(folder)
    release = threading.Event()

    @system.handler(Job, lease=0.1, parallelism=2)  # without a timeout it is renewed
    def silent(job: Job, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        assert release.wait(10.0)

    with system:
        system.publish(Job(1))
        until(lambda: len(list(system.audit.events(type="LeaseExtended"))) >= 3)
        release.set()
        system.drain(timeout=10.0)
        assert collected.items == [1]
        assert system.admin.metrics().late_results == 0


def test_lease_that_an_operator_sets_is_renewed_too(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """By default for handlers without a timeout, also if an operator set it, until a timeout is set or it is switched off."""
    system = perdure.System(folder, clock=clock)
    go_on, begun = threading.Event(), threading.Event()

    @system.handler(Job, parallelism=2, retries=5, backoff=0.0)
    def slow(job: Job, ctx: perdure.Context) -> None:
        begun.set()
        assert go_on.wait(10.0)
        collected.add((ctx.attempt, ctx.cancelled))

    def reached(extensions: int) -> bool:
        return len(list(system.audit.events(type="LeaseExtended"))) >= extensions

    with system:
        system.admin.configure(Job, lease=5.0)
        system.publish(Job(1))
        assert begun.wait(10.0)
        for n in range(1, 4):
            clock.advance(5.0)
            until(partial(reached, n))
        go_on.set()
        assert collected.wait_for(1) == [(1, False)]
        system.drain(timeout=10.0)
        go_on.clear()
        begun.clear()
        system.admin.configure(Job, renew=False)
        system.publish(Job(2))
        assert begun.wait(10.0)
        clock.advance(5.0)
        until(lambda: system.admin.metrics().lease_expired == 1)
        go_on.set()
        assert sorted(collected.wait_for(3)) == [(1, False), (1, True), (2, False)]


def test_handler_that_keeps_the_interpreter_to_itself_is_not_run_beside_itself(folder: Path, collected: Collected) -> None:
    """Scenario 53: nothing can renew meanwhile, so the lease expires; its handler is alive, so it keeps the message."""
    system = perdure.System(folder)
    usleep = ctypes.PyDLL(None).usleep  # of a PyDLL: does not release the interpreter's lock

    @system.handler(Job, lease=0.1, parallelism=2)  # without a timeout it is renewed
    def greedy(job: Job, ctx: perdure.Context) -> None:
        usleep(500_000)
        collected.add(ctx.attempt)

    with system:
        ident = system.publish(Job(1))
        system.drain(timeout=10.0)
        assert collected.items == [1]
        names = [record.name for record in system.audit.timeline(ident)]
        assert names.count("Leased") == names.count("Completed") == 1
        assert "LeaseExpired" not in names
        assert system.admin.metrics().late_results == 0
