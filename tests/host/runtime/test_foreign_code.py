"""The host's code that runs in the system's own threads, callbacks and log handlers, fails without stopping them."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    n: int


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
def test_a_callback_ends_no_actor_whatever_it_raises(folder: Path, error: BaseException) -> None:
    with perdure.System(folder) as system:
        here, threads = threading.get_ident(), set[int]()

        def back(_: object) -> None:
            threads.add(threading.get_ident())
            if threading.get_ident() != here:
                raise error

        while threads <= {here}:  # until one is called in a thread of the system
            future = system.submit(Job(0))
            future.add_done_callback(back)
            future.result(PATIENCE_S)
        assert system.publish(Job(1))
        assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


def test_a_callback_in_the_hosts_own_thread_raises_there(folder: Path) -> None:
    def leave(_: object) -> None:
        raise SystemExit(3)

    with perdure.System(folder) as system:
        future = system.submit(Job(0))
        future.result(PATIENCE_S)
        with pytest.raises(SystemExit):
            future.add_done_callback(leave)
        called: list[object] = []
        future.add_done_callback(called.append)  # that of before is not repeated
        assert called == [future]


class Failing(logging.Handler):
    """Raises, in `emit` or even earlier, as a handler that sends to a server may."""

    def __init__(self, error: BaseException, where: str) -> None:
        super().__init__()
        self.error = error
        self.where = where
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        if self.where == "filter":
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.lines.append(record.getMessage())
        raise self.error


@pytest.fixture(params=["filter", "emit"])
def failing(request: pytest.FixtureRequest) -> Iterator[Any]:
    logger = logging.getLogger("perdure")
    made: list[Failing] = []

    def add(error: BaseException) -> Failing:
        made.append(Failing(error, request.param))
        logger.addHandler(made[-1])
        return made[-1]

    yield add
    for handler in made:
        logger.removeHandler(handler)


@pytest.mark.parametrize("error", [RuntimeError("no server"), SystemExit(5)])
def test_a_log_handler_that_fails_ends_no_actor(folder: Path, failing: Any, error: BaseException) -> None:
    """Each line of a failed attempt, a dead letter and a killed actor fails to be logged; all work goes on."""
    system = perdure.System(folder, options=perdure.Options(retries=0))

    @system.handler(Job)
    def fail(job: Job) -> None:
        raise ValueError(job.n)

    handler = failing(error)
    with system:
        system.publish_many([Job(n) for n in range(5)])
        system.drain(PATIENCE_S)
        for name in ("queue", "journal", "supervisor"):
            system.actors.kill(name)
            system.publish(Job(9))
        system.drain(PATIENCE_S)
        assert system.dead_letters.stats().total == 8
    assert any("dead letter" in line for line in handler.lines)


def test_a_log_handler_that_asks_the_system_itself(folder: Path, failing: Any) -> None:
    """It would wait for the thread that it runs in: the call is refused, and nothing is held up."""
    system = perdure.System(folder, options=perdure.Options(retries=0))
    system.handler(Job)(lambda job: 1 / 0)
    handler = failing(RuntimeError())

    def emit(record: logging.LogRecord) -> None:
        handler.lines.append(record.getMessage())
        system.admin.metrics()

    handler.emit = emit
    with system:
        system.publish_many([Job(n) for n in range(5)])
        system.drain(PATIENCE_S)
        assert system.dead_letters.stats().total == 5


@pytest.fixture
def root_at_debug() -> Iterator[Callable[[logging.Handler], None]]:
    """What adds a handler of a root logger that shows all, as while a host is being debugged."""
    root = logging.getLogger()
    level, before = root.level, [*root.handlers]
    root.setLevel(logging.DEBUG)
    yield root.addHandler
    root.setLevel(level)
    for handler in {*root.handlers} - {*before}:
        root.removeHandler(handler)


def coroutine_system(folder: Path) -> perdure.System:
    system = perdure.System(folder, options=perdure.Options(retries=0))

    @system.handler(Job)
    async def handle(job: Job) -> None:
        await asyncio.sleep(0)

    return system


def test_a_start_survives_a_handler_of_the_root_logger_that_fails_at_debug(
    folder: Path, root_at_debug: Callable[[logging.Handler], None]
) -> None:
    """Pykka and asyncio log at DEBUG, too, in the thread of the start and in those of actors."""
    system = coroutine_system(folder)
    root_at_debug(Failing(RuntimeError("no server"), "emit"))
    with system:
        system.publish(Job(1))
        for name in ("queue", "journal", "supervisor"):
            system.actors.kill(name)
            system.publish(Job(9))
        system.drain(PATIENCE_S)
        assert system.admin.metrics().completed == 4
        assert system.admin.metrics().runtime_counters["actor_deaths"] == 3


def test_a_start_waits_for_no_handler_of_the_root_logger_that_publishes_at_debug(
    folder: Path, root_at_debug: Callable[[logging.Handler], None]
) -> None:
    system = coroutine_system(folder)
    refused: list[type[BaseException]] = []
    busy = threading.local()

    class Publishing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(busy, "is_publishing", False):
                return
            busy.is_publishing = True
            try:
                system.publish(Job(5))
            except perdure.PerdureError as error:
                refused.append(type(error))
            finally:
                busy.is_publishing = False

    root_at_debug(Publishing())
    with system:
        system.publish(Job(1))
        system.drain(PATIENCE_S)
    assert perdure.PublishTimeout not in refused, "it would have waited for itself"


def test_a_record_names_the_place_that_logs(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder, options=perdure.Options(retries=0))
    system.handler(Job)(lambda job: 1 / 0)
    with system:
        system.publish(Job(1))
        system.drain(PATIENCE_S)
    assert {record.filename for record in caplog.records if "failed" in record.message} == {"log_lines.py"}


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), OSError("no database")])
def test_a_connection_of_an_outbox_that_fails_ends_no_actor(folder: Path, error: BaseException) -> None:
    tried = threading.Event()

    def connect() -> object:
        tried.set()
        raise error

    with perdure.System(folder) as system, perdure.OutboxRelay(system, connect, every_s=0.01):
        assert tried.wait(PATIENCE_S)
        assert system.publish(Job(1))
        assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


def test_a_process_without_descriptors_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe() -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    system = perdure.System(tmp_path / "shared", shared=True)
    monkeypatch.setattr("os.pipe", pipe)
    for begin in (lambda: perdure.connect(tmp_path, timeout=1.0), system.start):
        with pytest.raises(perdure.StoreUnavailable, match=r"Too many open files\. .*ulimit"):
            begin()
    monkeypatch.undo()
    with system:
        assert system.publish(Job(1))


@pytest.mark.parametrize("room", ["host", "actors", "store"])
def test_every_room_logs_by_the_guarded_loggers(room: str) -> None:
    sources = (Path(__file__).parents[3] / room).rglob("*.py")
    assert [str(path) for path in sources if re.search(r"^logger = logging\.getLogger", path.read_text(), re.MULTILINE)] == []
