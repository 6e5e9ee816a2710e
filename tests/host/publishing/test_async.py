"""Publishing without blocking: `apublish` from coroutines, `submit` with futures.

Ordinary publishing is in `test_publishing`.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events.commands import Publish

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected


@attrs.frozen
class Ping:
    """A message."""

    number: int


def test_apublish_from_many_coroutines(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)

    @system.handler(Ping)
    def handle(ping: Ping, ctx: perdure.Context) -> None:
        collected.add((ctx.id, ping.number))

    async def produce() -> list[str]:
        return await asyncio.gather(*(system.apublish(Ping(n)) for n in range(500)))

    with system:
        ids = asyncio.run(produce())
        system.drain(timeout=10)
    assert sorted(collected.items) == sorted(zip(ids, range(500), strict=True))


def test_apublish_does_not_block_the_loop(folder: Path) -> None:
    """At the bound of the backlog the coroutine waits, and others run meanwhile."""

    async def produce(system: perdure.System) -> int:
        await system.apublish(Ping(1))
        waiting = asyncio.create_task(system.apublish(Ping(2)))
        turns = 0
        while turns < 50:
            await asyncio.sleep(0)
            turns += 1
        assert not waiting.done()
        delivery = await asyncio.to_thread(system.checkout, Ping)
        assert delivery is not None
        await asyncio.to_thread(delivery.ack)
        await asyncio.wait_for(waiting, 10)
        return turns

    with perdure.System(folder, options=perdure.Options(backlog_max=1)) as system:
        assert asyncio.run(produce(system)) == 50
        assert system.admin.metrics().published == 2


def test_apublish_refuses_as_publish_does(folder: Path) -> None:
    system = perdure.System(folder, options=perdure.Options(backlog_max=1, publish_timeout_s=0.05))
    with pytest.raises(perdure.NotRunning):
        asyncio.run(system.apublish(Ping(1)))
    with system:
        with pytest.raises(perdure.InvalidMessage, match="key"):
            asyncio.run(system.apublish(Ping(1), key=""))
        asyncio.run(system.apublish(Ping(1)))
        with pytest.raises(perdure.QueueFull):
            asyncio.run(system.apublish(Ping(2)))


def test_apublish_past_the_pipeline_bound(folder: Path) -> None:
    """More coroutines than `pipeline_max`: all go through."""

    async def produce(system: perdure.System) -> list[str]:
        return await asyncio.gather(*(system.apublish(Ping(n)) for n in range(100)))

    with perdure.System(folder, options=perdure.Options(pipeline_max=3)) as system:
        assert len(set(asyncio.run(produce(system)))) == 100
        assert system.admin.metrics().published == 100


def test_submitted_futures_give_ids_in_order(folder: Path) -> None:
    with perdure.System(folder, options=perdure.Options(pipeline_max=50)) as system:
        futures = [system.submit(Ping(n)) for n in range(1000)]
        ids = [future.result(timeout=10) for future in futures]
        assert ids == sorted(set(ids))
        published = [record.message_id for record in system.audit.events(type="Published")]
        assert published == ids


def test_a_future_raises_what_publish_would(folder: Path) -> None:
    with perdure.System(folder, options=perdure.Options(backlog_max=1, publish_timeout_s=0.05)) as system:
        first, second = system.submit(Ping(1)), system.submit(Ping(2))
        assert first.result(timeout=10)
        with pytest.raises(perdure.QueueFull):
            second.result(timeout=10)


def test_a_cancelled_future_does_no_harm(folder: Path) -> None:
    """Cancelling does not take the message back, and the system goes on."""
    told = threading.Event()
    with perdure.System(folder) as system:
        future = system.submit(Ping(1))
        future.add_done_callback(lambda _: told.set())
        future.cancel()
        assert told.wait(10)
        system.publish(Ping(2))
        assert system.admin.metrics().published == 2


def test_futures_end_when_the_system_stops(folder: Path) -> None:
    """What waits for room when the system stops is refused, not left waiting."""
    system = perdure.System(folder, options=perdure.Options(backlog_max=1))
    with system:
        system.publish(Ping(1))
        waiting = system.submit(Ping(2))
    with pytest.raises(perdure.NotRunning):
        waiting.result(timeout=10)
    with system:
        assert system.admin.metrics().published == 1


def test_cancelled_awaits_leave_nothing_behind(folder: Path) -> None:
    """Neither a pending request nor a task: a caller that stops waiting is forgotten, and what was published stays so."""

    async def main(system: perdure.System) -> None:
        outstanding = system.runtime.pending.outstanding
        before = asyncio.all_tasks()
        waits = [
            asyncio.create_task(system.adrain()),
            asyncio.create_task(system.acall(Ping(1))),
            asyncio.create_task(system.apublish(Ping(2))),
        ]
        # Other threads' doing, without an event to wait for; drain and result are what is not answered meanwhile.
        while await asyncio.to_thread(lambda: system.admin.metrics().published) < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        while len(asked := list(outstanding.values())) != 2 or any(isinstance(it.command, Publish) for it in asked):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        for wait in waits:
            wait.cancel()
        ended = await asyncio.gather(*waits, return_exceptions=True)
        assert [type(end) for end in ended[:2]] == [asyncio.CancelledError] * 2
        assert outstanding == {}
        assert asyncio.all_tasks() == before

    system = perdure.System(folder)
    system.handler(Ping)(lambda ping: None)
    with system:
        system.admin.pause(Ping)  # so that nothing answers the call
        asyncio.run(asyncio.wait_for(main(system), 30))
        assert system.admin.metrics().ready == 2


@attrs.frozen
class Job:
    number: int


def test_coroutines_of_the_host(folder: Path) -> None:
    """`async with`, `asubmit`, `acall`, `adrain`: nothing blocks the loop, and a cancelled await leaves nothing behind."""

    async def main() -> None:
        system = perdure.System(folder)
        release = asyncio.Event()

        @system.handler(Job, parallelism=3)
        def work(job: Job, ctx: perdure.Context) -> int:
            return job.number + 1

        async with system:
            assert await system.acall(Job(1), timeout=10.0) == 2
            futures = [await system.asubmit(Job(n)) for n in range(20)]
            assert len(set(await asyncio.gather(*futures))) == 20
            await system.adrain(timeout=10.0)
            await system.apublish(Job(1), delay=3600)
            with pytest.raises(TimeoutError, match="1 delayed"):
                await system.adrain(timeout=0.05)
            waiting = asyncio.create_task(system.adrain())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not system.runtime.pending.outstanding
        release.set()

    asyncio.run(main())
