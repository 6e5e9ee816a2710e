"""The grace period of a stop is an upper bound: no code of the host can keep the folder longer."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.runtime.actor_shutdown import UNWRITTEN_LOOKS, _Unwritten
from tests.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Until = Callable[[Callable[[], object]], None]

PATIENCE_S = 60.0
STUCK_S = 60.0
"""How long the host's code takes; the bound is far below it, so a slow machine does not fail the test."""
BOUND_S = 20.0


@attrs.frozen
class Job:
    n: int


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Release threads that were left behind, so that none outlives its test."""
    event = threading.Event()
    yield event
    event.set()


class Stubborn:
    """Handlers that do not end by themselves, one for each kind of handler."""

    def __init__(self, release: threading.Event) -> None:
        self.begun = threading.Event()
        self.release = release

    def block(self, *_: object) -> None:
        self.begun.set()
        self.release.wait(STUCK_S)

    async def block_the_loop(self, job: Job, ctx: perdure.Context) -> None:
        self.block()

    async def swallow(self, job: Job, ctx: perdure.Context) -> None:
        self.begun.set()
        while not self.release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    def register(self, system: perdure.System, kind: str) -> None:
        match kind:
            case "thread":
                system.handler(Job)(self.block)
            case "thread with a timeout":
                system.handler(Job, timeout=STUCK_S)(self.block)
            case "coroutine that blocks its loop":
                system.handler(Job)(self.block_the_loop)
            case "coroutine that swallows its cancellation":
                system.handler(Job)(self.swallow)
            case "batch":
                system.batch_handler(Job)(lambda batch: self.block())


KINDS = [
    "thread",
    "thread with a timeout",
    "coroutine that blocks its loop",
    "coroutine that swallows its cancellation",
    "batch",
]


@pytest.mark.parametrize("manual", [False, True], ids=["", "with a clock that stands still"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_handler_holds_up_a_stop(
    folder: Path, release: threading.Event, caplog: pytest.LogCaptureFixture, kind: str, *, manual: bool
) -> None:
    """The handler is left behind, which is logged; its message is handled again after the next start."""
    handlers = Stubborn(release)
    system = perdure.System(folder, clock=perdure.ManualClock() if manual else None)
    handlers.register(system, kind)
    system.start()
    ident = system.publish(Job(1))
    assert handlers.begun.wait(PATIENCE_S)
    begun_s = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="perdure"):
        system.stop(grace=0.1)
    assert time.monotonic() - begun_s < BOUND_S
    output = " ".join(record.getMessage() for record in caplog.records)
    assert "left behind" in output
    again = perdure.System(folder)
    handled: list[str] = []
    again.handler(Job)(lambda job, ctx: handled.append(ctx.id))
    with again:
        again.drain(timeout=PATIENCE_S)
    assert handled == [ident]


def test_a_batch_that_waits_for_more_does_not_hold_up_a_stop(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    calls: list[int] = []
    system.batch_handler(Job, size=10, wait=STUCK_S)(lambda batch: calls.append(len(batch)))
    with system:
        system.publish(Job(1))
        until(lambda: system.admin.metrics().in_flight == 1)
        until(lambda: any(d.claim for pool in system.runtime.pools.by_type.values() for d in pool.open.values()))
        begun_s = time.monotonic()
        system.stop(grace=STUCK_S)
    assert time.monotonic() - begun_s < BOUND_S
    assert calls == []
    with perdure.System(folder) as again:
        assert again.recovery is not None
        assert again.recovery.in_flight_taken_back == 0
        assert again.recovery.waiting == 1


def test_a_callback_does_not_hold_up_a_stop(folder: Path, release: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    """The callback runs in the journal's thread, which writes nothing once the folder is free."""
    system = perdure.System(folder)
    begun = threading.Event()

    def block(future: Any) -> None:
        begun.set()
        release.wait(STUCK_S)

    system.start()
    system.submit(Job(1)).add_done_callback(block)
    if not begun.wait(0.5):  # it had its answer before the callback was there, and was called here
        pytest.skip("the callback ran in this thread")
    late = system.submit(Job(2))
    begun_s = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="perdure"):
        system.stop(grace=0.1)
    assert time.monotonic() - begun_s < BOUND_S
    assert "journal" in " ".join(record.getMessage() for record in caplog.records)
    with pytest.raises((perdure.NotRunning, perdure.PublishTimeout)):
        late.result(PATIENCE_S)
    system.start()  # the same store object: what was left behind must not write into it
    try:
        release.set()
        ids = [system.publish(Job(n)) for n in range(3, 30)]
        assert len(set(ids)) == len(ids)
    finally:
        system.stop()
    assert perdure.Audit(folder).verify().ok
    published = [record.message_id for record in perdure.Audit(folder).events(type="Published")]
    assert published[1:] == ids


def test_a_database_that_does_not_answer_does_not_hold_up_a_stop(folder: Path, release: threading.Event) -> None:
    asked = threading.Event()

    def connect() -> Any:
        asked.set()
        release.wait(STUCK_S)
        raise OSError("the database is gone")

    system = perdure.System(folder)
    system.start()
    perdure.OutboxRelay(system, connect).start()
    assert asked.wait(PATIENCE_S)
    begun_s = time.monotonic()
    system.stop(grace=0.1)
    assert time.monotonic() - begun_s < BOUND_S
    with perdure.System(folder):
        pass


def test_an_interrupt_ends_the_grace_period(folder: Path, release: threading.Event) -> None:
    """Ctrl-C during a stop ends the grace period."""
    import _thread

    handlers = Stubborn(release)
    system = perdure.System(folder)
    handlers.register(system, "thread")
    system.start()
    system.publish(Job(1))
    assert handlers.begun.wait(PATIENCE_S)
    begun_s = time.monotonic()
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        system.stop(grace=STUCK_S)
    assert time.monotonic() - begun_s < BOUND_S
    with perdure.System(folder):
        pass


def test_actors_that_died_without_a_word_do_not_hold_it(folder: Path, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a tracer of `sys.monitoring` that raises ends them, in the very lines that report a death."""
    system = perdure.System(folder)
    system.start()
    directory = system.runtime.directory
    monkeypatch.setattr(directory, "terminated", lambda *_: None)
    gone = [directory.actors[name] for name in ("supervisor", "dispatcher")]
    for actor in gone:
        actor.kill()
    until(lambda: not any(actor.thread is not None and actor.thread.is_alive() for actor in gone))
    began_s = time.monotonic()
    system.stop(0.1)
    assert time.monotonic() - began_s < BOUND_S
    with perdure.System(folder) as again:
        again.publish(Job(1))


FULL = """
import resource, signal, sys, time
import perdure
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
system = perdure.System(sys.argv[1], options=perdure.Options(log_failures=None))
system.handler(int)(lambda n: n)
system.start()
system.publish_many(range(50))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
began_s = time.monotonic()
system.stop(0.1)
assert time.monotonic() - began_s < 20
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
with system:
    system.drain(timeout=60.0)
    assert system.admin.metrics().completed == 50
"""


def test_a_disk_that_takes_nothing_does_not_hold_it(tmp_path: Path) -> None:
    """What handlers have ended meanwhile is handled again after the next start."""
    host = tmp_path / "host.py"
    host.write_text(FULL, encoding="utf-8")
    done = run([str(host), str(tmp_path / "data")], timeout=60)
    assert done.returncode == 0, done.stderr


@attrs.define
class Log:
    """A store, as far as the end of a stop asks it: in the place of a whole one."""

    address: str
    last_seq: int = 1

    def looks(self, *, writes_at: int = -1) -> int:
        """Return after how many looks a stop gives this log up; 0 if it does not."""
        unwritten, closed = _Unwritten(self), perdure.StoreUnavailable("no write succeeds")  # type: ignore[arg-type]
        for look in range(1, 10 * UNWRITTEN_LOOKS):
            self.last_seq += look == writes_at
            if unwritten.is_hopeless(closed):
                return look
        return 0


def test_a_database_is_waited_for_and_a_disk_until_its_last_write(folder: Path) -> None:
    assert Log("postgresql://db/app#orders").looks() == 0, "another server takes its place within seconds"
    assert Log(str(folder)).looks() == UNWRITTEN_LOOKS
    assert Log(str(folder)).looks(writes_at=30) == 29 + UNWRITTEN_LOOKS
