"""Under gevent and eventlet: what they change of the interpreter is put in place by hand, since the tests require neither.

Greenlets of one thread all see the event loop that one of them runs, and eventlet takes `select.poll` away.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Job:
    """A message."""

    number: int


def test_a_wait_beside_the_loop_of_the_handlers_is_allowed_where_greenlets_share_its_thread() -> None:
    system = perdure.System(store=perdure.MemoryStore())
    loops: list[asyncio.AbstractEventLoop] = []

    @system.handler(Job)
    async def handle(job: Job) -> int:
        loops.append(asyncio.get_running_loop())
        return job.number

    with system:
        assert system.call(Job(1), timeout=30.0) == 1
        asyncio._set_running_loop(loops[0])  # as every greenlet of that thread sees it
        try:
            assert system.call(Job(2), timeout=30.0) == 2
            system.drain(timeout=30.0)
        finally:
            asyncio._set_running_loop(None)


def test_a_wait_on_the_loop_of_the_handlers_is_refused() -> None:
    system = perdure.System(store=perdure.MemoryStore())

    @system.handler(Job, parallelism=2, retries=0)
    async def handle(job: Job) -> None:
        if job.number:
            system.call(Job(0), timeout=30.0)

    with system, pytest.raises(perdure.WouldDeadlock, match=r"await system\.acall"):
        system.call(Job(1), timeout=30.0)


def test_what_waits_for_other_processes_says_that_poll_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    with pytest.raises(perdure.StoreUnavailable, match=r"^a shared System waits .*`eventlet\.monkey_patch\(\)` takes it away"):
        perdure.System(folder, shared=True).start()
    with pytest.raises(perdure.StoreUnavailable, match=r"^a client waits .* takes it away"):
        perdure.connect(folder)
    with pytest.raises(perdure.StoreUnavailable, match=r"^a Cluster waits .* takes it away"):
        perdure.Cluster("postgresql://nowhere/none", name="orders").start()
    system = perdure.System(folder)
    with system:
        system.publish(Job(1))
