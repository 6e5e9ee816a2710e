"""Windows, rates, limits by key, debouncing, cancelling, results, schedules, elastic and changed handlers, middleware, services."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import svcs

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.options import DeadLettersFull
    from tests.host.conftest import Collected, Until


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Report:
    name: str


# --- keys ----------------------------------------------------------------------------------------------------------------


def test_window_holds_a_key_after_completion_and_over_a_restart(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 6, the window: a completed message's key is refused until it is over, also after a restart."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.handler(Job, dedup="reject", dedup_window=60.0)(lambda job, ctx: None)
        return system

    with make() as system:
        first = system.publish(Job(1), key="k")
        system.drain(timeout=10.0)
        with pytest.raises(perdure.DuplicateKey) as refused:
            system.publish(Job(2), key="k")
        assert refused.value.live_id == first
        system.publish(Job(3), key="other", dedup="append")
    with make() as system:
        clock.advance(59.0)
        with pytest.raises(perdure.DuplicateKey):
            system.publish(Job(2), key="k")
        clock.advance(2.0)
        system.publish(Job(2), key="k")
        system.drain(timeout=10.0)
        assert [r.event.key for r in system.audit.events(type="KeyFreed")] == ["k"]  # type: ignore[attr-defined]


def test_policy_of_one_publish_wins_over_the_handlers(folder: Path) -> None:
    with perdure.System(folder) as system:
        first = system.publish(Job(1), key="k")
        with pytest.raises(perdure.DuplicateKey):
            system.publish(Job(2), key="k", dedup="reject")
        system.publish(Job(3), key="k", dedup="append")
        assert system.admin.metrics().ready == 2
        system.publish(Job(4), key="k")
        assert system.admin.metrics().superseded == 1
        assert system.audit.timeline(first)[-1].name == "Superseded"
        with pytest.raises(perdure.InvalidMessage, match="dedup"):
            system.publish(Job(5), dedup="reject")


def test_limit_by_key(folder: Path, collected: Collected) -> None:
    """With `key_parallelism` at most so many messages of one key are out at once; other keys go past them."""
    system = perdure.System(folder)
    release = threading.Event()
    most = {"a": 0, "b": 0}
    running: dict[str, int] = {"a": 0, "b": 0}
    lock = threading.Lock()

    @system.handler(Job, dedup="append", key_parallelism=2, parallelism=8)
    def work(job: Job, ctx: perdure.Context) -> None:
        assert ctx.key is not None
        with lock:
            running[ctx.key] += 1
            most[ctx.key] = max(most[ctx.key], running[ctx.key])
        collected.add(ctx.key)
        assert release.wait(10.0)
        with lock:
            running[ctx.key] -= 1

    with system:
        for n in range(10):
            system.publish(Job(n), key="a")
        for n in range(3):
            system.publish(Job(n), key="b")
        assert sorted(collected.wait_for(4)) == ["a", "a", "b", "b"]
        assert system.admin.metrics().held == 9
        system.admin.snapshot()
        release.set()
        system.drain(timeout=10.0)
        assert most == {"a": 2, "b": 2}
        assert system.admin.metrics().completed == 13


def test_only_the_last_of_a_burst_is_handled(folder: Path, clock: perdure.ManualClock, collected: Collected) -> None:
    """`debounce`: each newer message of the key starts the wait anew."""
    system = perdure.System(folder, clock=clock)
    system.handler(Job)(lambda job: collected.add(job.number))
    with system:
        for n in range(5):
            system.publish(Job(n), key="doc", debounce=5.0)
            clock.advance(4.0)
        assert collected.items == []
        clock.advance(1.5)
        assert collected.wait_for(1) == [4]
        system.drain(timeout=10.0)
        assert system.admin.metrics().superseded == 4
        with pytest.raises(perdure.InvalidMessage, match="debounce"):
            system.publish(Job(1), debounce=5.0)


# --- rates ---------------------------------------------------------------------------------------------------------------


def test_rate_is_kept_also_over_a_restart(folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until) -> None:
    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.handler(Job, rate="2/s", parallelism=4)(lambda job: collected.add(job.number))
        return system

    with make() as system:
        system.publish_many([Job(n) for n in range(6)])
        assert collected.wait_for(1) == [0]
        clock.advance(0.49)
        assert system.admin.metrics().ready == 5
        clock.advance(0.02)
        assert collected.wait_for(2) == [0, 1]
        until(lambda: system.admin.metrics().completed == 2)
    with make() as system:
        assert system.admin.metrics().ready == 4  # a restart is no way round the limit
        for n in range(2, 6):
            clock.advance(0.51)
            assert len(collected.wait_for(n + 1)) == n + 1
        system.drain(timeout=10.0)


def test_rate_of_a_batch_handler_counts_messages(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """Not calls: what lies behind a limited rate (a service, a quota) counts what is sent to it."""
    system = perdure.System(folder, clock=clock)

    @system.batch_handler(Job, size=10, rate="2/s")
    def store(batch: perdure.Batch[Job]) -> None:
        for item in batch:
            collected.add(item.message.number)

    with system:
        system.publish_many([Job(n) for n in range(4)])
        assert collected.wait_for(1) == [0]
        until(lambda: system.admin.metrics().completed == 1)
        assert system.admin.metrics().ready == 3
        clock.advance(0.51)
        until(lambda: system.admin.metrics().completed == 2)
        assert (collected.items, system.admin.metrics().ready) == ([0, 1], 2)
        while system.admin.metrics().ready:
            clock.advance(0.51)
        system.drain(timeout=10.0)
    assert collected.items == [0, 1, 2, 3]


@pytest.mark.parametrize("rate", [0, -1, "fast", "5/y", True, "0/s"])
def test_wrong_rate_is_refused(folder: Path, rate: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="rate"):
        perdure.System(folder).handler(Job, rate=rate)


# --- cancelling and results ----------------------------------------------------------------------------------------------


def test_cancelling_waiting_and_running_messages(folder: Path, collected: Collected, until: Until) -> None:
    system = perdure.System(folder)
    begun, release = threading.Event(), threading.Event()

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> None:
        begun.set()
        until(lambda: ctx.cancelled or release.is_set())
        collected.add((job.number, ctx.cancelled))

    with system:
        running = system.publish(Job(1))
        assert begun.wait(10.0)
        waiting = system.publish(Job(2))
        delayed = system.publish(Job(3), delay=3600)
        assert system.cancel(waiting)
        assert system.cancel(delayed)
        assert system.cancel(running)
        assert not system.cancel(running)
        assert not system.cancel("no such message")
        assert collected.wait_for(1) == [(1, True)]
        system.drain(timeout=10.0)
        until(lambda: system.admin.metrics().late_results == 1)
        numbers = system.admin.metrics()
        assert (numbers.cancelled, numbers.completed, numbers.dead_letters) == (3, 0, 0)
        assert [r.name for r in system.audit.timeline(running)] == ["Published", "Leased", "Cancelled", "LateResultRefused"]


def test_call_gives_what_the_handler_returns_or_raises(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Job, retries=1, backoff=0)
    def work(job: Job, ctx: perdure.Context) -> Any:
        if job.number < 0:
            message = f"attempt {ctx.attempt}"
            raise LookupError(message)
        return Report(f"report {job.number}") if job.number else None

    with system:
        assert system.call(Job(1), timeout=10.0) == Report("report 1")
        assert system.call(Job(0), timeout=10.0) is None
        with pytest.raises(LookupError, match="attempt 2"):
            system.call(Job(-1), timeout=10.0)
        with pytest.raises(perdure.UnknownMessage):
            system.result("no such message", timeout=1.0)
        with pytest.raises(TimeoutError):
            system.call(Job(5), delay=3600, timeout=0.05)


def test_result_outlives_a_restart_and_then_fades(folder: Path, clock: perdure.ManualClock) -> None:
    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)

        @system.handler(Job, retries=0)
        def work(job: Job, ctx: perdure.Context) -> int:
            if job.number < 0:
                raise LookupError
            return job.number * 2

        return system

    with make() as system:
        good = system.publish(Job(4), keep_result=100)
        bad = system.publish(Job(-1), keep_result=100)
        gone = system.publish(Job(9), keep_result=100, ttl=0.001, delay=1.0)
        system.result(good, timeout=10.0)
        with pytest.raises(LookupError):
            system.result(bad, timeout=10.0)
    with make() as system:
        assert system.result(good, timeout=10.0) == 8
        with pytest.raises(perdure.HandlerFailed) as failed:
            system.result(bad, timeout=10.0)
        assert failed.value.exception == "LookupError"
        clock.advance(2.0)
        with pytest.raises(perdure.HandlerFailed, match="Expired"):
            system.result(gone, timeout=10.0)
        clock.advance(200.0)
        with pytest.raises(perdure.UnknownMessage):
            system.result(good, timeout=10.0)


def test_caller_gets_its_answer_though_the_queue_dies(folder: Path) -> None:
    system = perdure.System(folder)
    begun, release = threading.Event(), threading.Event()

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> int:
        begun.set()
        assert release.wait(10.0)
        return job.number

    answers: list[Any] = []
    with system:
        caller = threading.Thread(target=lambda: answers.append(system.call(Job(3), timeout=20.0)))
        caller.start()
        assert begun.wait(10.0)
        system.actors.kill("queue")
        system.actors.kill("journal")
        release.set()
        caller.join(20.0)
        assert answers == [3]


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


# --- schedules -----------------------------------------------------------------------------------------------------------


def test_each_tick_is_published_once_also_over_restarts_and_kills(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """Recurring messages: each tick exactly once; of those missed, the last."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)

        @system.every("*/5 * * * *", name="clean", zone=dt.UTC)
        def clean(tick: perdure.Tick, ctx: perdure.Context) -> None:
            collected.add(tick.due)

        return system

    def ticked(system: perdure.System) -> int:
        return len(list(system.audit.events(type="Ticked")))

    with make() as system:
        until(lambda: ticked(system) == 1)  # its beginning
        for n in range(1, 4):
            clock.advance(300.0)
            collected.wait_for(n)
            system.actors.kill("scheduler" if n == 1 else "timer" if n == 2 else "queue")
        system.drain(timeout=10.0)
    clock.advance(3600.0)
    with make() as system:
        assert len(collected.wait_for(4)) == 4
        until(lambda: ticked(system) == 1 + 3 + 12)
        clock.advance(300.0)
        dues = collected.wait_for(5)
        system.drain(timeout=10.0)
    assert len(set(dues)) == len(dues) == 5
    assert all(due.minute % 5 == 0 and due.second == 0 for due in dues)


def test_schedule_with_a_message_makes_up_for_all(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.every(60.0, message=Report("hourly"), missed="all", priority=3)
        system.handler(Report)(lambda report, ctx: collected.add((report.name, ctx.id)))
        return system

    with make() as system:
        until(lambda: len(list(system.audit.events(type="Ticked"))) == 1)
    clock.advance(60.0 * 7)
    with make() as system:
        assert len(set(collected.wait_for(7))) == 7
        system.drain(timeout=10.0)
        assert system.admin.metrics().published == 7


@pytest.mark.parametrize("when", ["not cron", "99 * * * *", 0, -5, True])
def test_wrong_schedule_is_refused(folder: Path, when: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="every"):
        perdure.System(folder).every(when, message=Report("x"))


# --- administration ------------------------------------------------------------------------------------------------------


def test_elastic_handler_follows_its_backlog(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    release = threading.Event()

    @system.handler(Job, parallelism=(1, 6))
    def work(job: Job, ctx: perdure.Context) -> None:
        assert release.wait(20.0)

    with system:
        name = next(iter(system.admin.handlers()))
        assert system.admin.handlers()[name].parallelism == 1
        system.publish_many([Job(n) for n in range(40)])
        until(lambda: system.admin.handlers()[name].active == 6)
        release.set()
        system.drain(timeout=10.0)
        until(lambda: system.admin.handlers()[name].workers == 1)
        assert {r.name for r in system.audit.events(type="Adapted")} == {"Adapted"}


def test_options_changed_at_run_time_last(folder: Path, collected: Collected) -> None:
    def make(**options: Any) -> perdure.System:
        system = perdure.System(folder)

        @system.handler(Job, backoff=0, **options)
        def work(job: Job, ctx: perdure.Context) -> None:
            collected.add(ctx.attempt)
            raise LookupError

        return system

    with make(retries=5) as system:
        system.admin.configure(Job, retries=1, timeout=9.0)
        system.publish(Job(1))
        system.drain(timeout=10.0)
        assert collected.items == [1, 2]
        with pytest.raises(perdure.InvalidMessage, match="parallelism"):
            system.admin.configure(Job, parallelism=3)  # type: ignore[call-arg]
        with pytest.raises(perdure.UnknownMessageType):
            system.admin.configure(Report, retries=1)
    with make(retries=5) as system:
        system.publish(Job(2))
        system.drain(timeout=10.0)
        assert collected.items == [1, 2, 1, 2]
    with make(retries=0) as system:  # the code asks for something else now
        system.publish(Job(3))
        system.drain(timeout=10.0)
        assert collected.items == [1, 2, 1, 2, 1]


def test_rates_and_percentiles(folder: Path) -> None:
    """Scenario 43, latencies: how long messages waited, how long their handlers ran."""
    system = perdure.System(folder)

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> None:
        time.sleep(0.01)

    with system:
        system.publish_many([Job(n) for n in range(10)])
        system.drain(timeout=10.0)
        (info,) = system.admin.handlers().values()
        assert 0.009 < info.run_p50_s <= info.run_p99_s
        assert info.run_p50_s < info.wait_p99_s < 20.0
        assert 0 < info.rate_per_s < 10


# --- middleware and services ---------------------------------------------------------------------------------------------


class Tagging(perdure.Middleware):
    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        if message == Job(13):
            refusal = "13 is refused"
            raise perdure.InvalidMessage(refusal)
        self.seen.append(f"publish {self.name}")
        headers = {**(options.get("headers") or {}), self.name: "yes"}
        return call_next(message, {**options, "headers": headers})

    def handle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        self.seen.append(f"enter {self.name}")
        try:
            return call_next(message, context)
        finally:
            self.seen.append(f"leave {self.name}")

    async def ahandle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        self.seen.append(f"enter {self.name}")
        result = await call_next(message, context)
        self.seen.append(f"leave {self.name}")
        return result


@pytest.mark.parametrize("kind", ["thread", "async", "process"])
def test_middleware_goes_round_publish_and_handle(folder: Path, kind: str) -> None:
    seen: list[str] = []
    system = perdure.System(folder, middleware=[Tagging("outer", seen), Tagging("inner", seen)])

    async def coroutine(job: Job, ctx: perdure.Context) -> dict[str, str]:
        return dict(ctx.headers)

    def plain(job: Job, ctx: Any) -> dict[str, str]:
        return dict(ctx.headers)

    if kind == "async":
        system.handler(Job)(coroutine)
    else:
        system.handler(Job, isolation="process" if kind == "process" else "thread")(plain)
    with system:
        with pytest.raises(perdure.InvalidMessage, match="13 is refused"):
            system.publish_many([Job(1), Job(13)])
        assert system.admin.metrics().published == 0
        seen.clear()
        assert system.call(Job(2), timeout=30.0) == {"outer": "yes", "inner": "yes"}
        assert seen == ["publish outer", "publish inner", "enter outer", "enter inner", "leave inner", "leave outer"]


class Connection:
    opened = 0
    closed = 0

    def __init__(self) -> None:
        Connection.opened += 1


def _connections() -> Any:
    connection = Connection()
    try:
        yield connection
    finally:
        Connection.closed += 1


@pytest.mark.parametrize("kind", ["function", "coroutine", "class"])
def test_services_are_opened_and_closed_once_for_each_message(folder: Path, kind: str) -> None:
    """Scenario 22: also on failure."""
    registry = svcs.Registry()
    registry.register_factory(Connection, _connections)
    system = perdure.System(folder, registry=registry)
    Connection.opened = Connection.closed = 0

    def check(job: Job, connection: Connection) -> int:
        assert isinstance(connection, Connection)
        if job.number < 0:
            raise LookupError
        return job.number

    if kind == "function":

        @system.handler(Job, retries=0)
        def plain(job: Job, ctx: perdure.Context, connection: Connection) -> int:
            return check(job, connection)

    elif kind == "coroutine":

        @system.handler(Job, retries=0)
        async def coroutine(job: Job, ctx: perdure.Context, connection: Connection) -> int:
            return check(job, connection)

    else:

        @system.handler(Job, retries=0)
        class Charge:
            def __init__(self, connection: Connection) -> None:
                self.connection = connection

            def handle(self, job: Job, ctx: perdure.Context) -> int:
                return check(job, self.connection)

    with system:
        assert system.call(Job(5), timeout=10.0) == 5
        with pytest.raises(LookupError):
            system.call(Job(-1), timeout=10.0)
        system.drain(timeout=10.0)
    assert (Connection.opened, Connection.closed) == (2, 2)


@pytest.mark.parametrize("kind", ["thread", "coroutine"])
def test_services_are_closed_when_a_handler_times_out(folder: Path, kind: str) -> None:
    """Scenario 22: each attempt has its own, and the one that was interrupted is closed too."""
    registry = svcs.Registry()
    registry.register_factory(Connection, _connections)
    system = perdure.System(folder, registry=registry)
    Connection.opened = Connection.closed = 0

    if kind == "thread":

        @system.handler(Job, retries=1, backoff=0, timeout=0.1)
        def plain(job: Job, ctx: perdure.Context, connection: Connection) -> None:
            while ctx.attempt == 1:
                time.sleep(0.001)

    else:

        @system.handler(Job, retries=1, backoff=0, timeout=0.1)
        async def coroutine(job: Job, ctx: perdure.Context, connection: Connection) -> None:
            if ctx.attempt == 1:
                await asyncio.sleep(60.0)

    with system:
        system.publish(Job(1))
        system.drain(timeout=10.0)
        assert (system.admin.metrics().completed, system.admin.metrics().retried) == (1, 1)
    assert (Connection.opened, Connection.closed) == (2, 2)


def test_service_without_a_registry_is_refused(folder: Path) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match="registry"):

        @system.handler(Job)
        def plain(job: Job, ctx: perdure.Context, connection: Connection) -> None: ...

    with pytest.raises(perdure.InvalidMessage, match="'what'"):

        @system.handler(Job)
        def unknown(job: Job, ctx: perdure.Context, what) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


# --- dead letters --------------------------------------------------------------------------------------------------------


def test_pages_dry_runs_and_partial_purges(folder: Path) -> None:
    """Scenarios 24 and 26, further: pages, a dry run before a replay, purging by type and reason."""
    system = perdure.System(folder)

    @system.handler(Job, retries=0)
    def work(job: Job, ctx: perdure.Context) -> None:
        raise perdure.Reject("odd" if job.number % 2 else "even")

    with system:
        system.publish_many([Job(n) for n in range(10)])
        system.drain(timeout=10.0)
        pages: list[int] = []
        before = None
        while page := system.dead_letters.list(limit=3, before=before):
            pages += [letter.message.number for letter in page]
            before = page[-1].id
        assert pages == list(reversed(range(10)))
        assert system.dead_letters.replay_all(reason="odd", dry_run=True) == 5
        assert system.admin.metrics().replayed == 0
        assert system.dead_letters.purge(reason="even") == 5
        assert system.dead_letters.purge(type=Report) == 0
        assert system.dead_letters.stats().by_reason == {"odd": 5}


@pytest.mark.parametrize(("full", "kept"), [("drop_oldest", [7, 6, 5]), ("drop_newest", [2, 1, 0])])
def test_what_happens_at_the_bound_is_an_option(folder: Path, full: DeadLettersFull, kept: list[int]) -> None:
    """Scenario 27: either way it is on record and in the metrics."""
    system = perdure.System(folder, options=perdure.Options(dead_letters_max=3, dead_letters_full=full))
    system.handler(Job, retries=0)(lambda job: [][job.number])
    with system:
        for n in range(8):
            system.publish(Job(n))
        system.drain(timeout=10.0)
        assert [letter.message.number for letter in system.dead_letters.list()] == kept
        assert system.admin.metrics().purged == 5
        assert len(list(system.audit.events(type="Purged"))) == 5
