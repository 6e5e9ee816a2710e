"""Each page beside a big queue, in milliseconds; and trips with and without an open page, in turn: the ratio of the two."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import perdure
from benchmarks.console import big_queue
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, Missing, Prepared, job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["loads", "open_page", "pages"]

FIRST = "console, first page of a log that was never read: it answers"
P95, SLOWEST, WORST_PAGE = (
    "console, all pages: 95th percentile",
    "console, all pages: slowest answer",
    "console, slowest page: 95th percentile",
)
PAST = "console, all pages at a past moment: 95th percentile"
RATE, EFFORT_OF = "trip beside an open page: of the rate without", "trip beside an open page: processor time, of that without"
PATHS = (
    "/",
    "/?over=history",
    "/types",
    "/types/benchmark.Job",
    "/messages",
    "/messages?place=ready",
    "/messages?place=ready&skip=20000",
    "/messages?place=held",
    "/messages?place=delayed",
    "/messages?place=ready&q=key%3Dnone",
    "/messages?q=key%3DORD-7",
    "/messages?q=error~bank",
    "/messages?type=benchmark.Parcel",
    "/dead-letters",
    "/dead-letters?where=type%3Dbenchmark.Refund",
    "/dead-letters?where=error~nothing",
    "/schedules",
    "/processes",
    "/actors",
    "/acts",
    "/compare?a=1000",
)
TURNS = 10
PAIRS = 3
OK, READING = 200, 202
START_S = 60.0


class Browser:
    """Asks a console in this process, and notes how long each answer takes."""

    def __init__(self, console: Any) -> None:
        from starlette.testclient import TestClient

        from perdure.console.app import application

        app = application(console, hosts=("127.0.0.1",), principal=lambda _: "benchmark")
        self._client = TestClient(app, base_url="http://127.0.0.1")
        self.text = ""

    def ask(self, path: str) -> tuple[int, float]:
        """Return the status of a page, and the milliseconds that it took."""
        began = time.perf_counter()
        answer = self._client.get(path)
        took_ms = (time.perf_counter() - began) * 1e3
        self.text = answer.text
        return answer.status_code, took_ms

    def ready(self, path: str) -> None:
        """Ask until the log is read for a page."""
        while self.ask(path)[0] == READING:
            time.sleep(0.1)


def pages(folder: Path) -> Sequence[float]:
    """Ask each page of a big queue several times, in turn, as `perdure console` does: in a process beside the owner's.

    `folder` has the queue. Return milliseconds: of the first answer; of all pages, the 95th percentile and the slowest answer; the
    95th percentile of the slowest page, and that of all pages at a past moment.
    """
    console_class = _installed()
    from perdure.runtime.process.interpreter_settings import InterpreterSettings
    from perdure.security import Rights
    from perdure.store import open_reader

    InterpreterSettings(perdure.Options()).apply()  # as the command does
    console = console_class(open_reader(str(folder)), None, rights=Rights(), open_payloads=True)
    browser = Browser(console)
    _, first_ms = browser.ask("/")
    browser.ready("/")
    while console.live.history_known() < 1.0:
        browser.ask("/")
        time.sleep(0.05)
    browser.ready("/compare?a=1000")
    browser.ask("/dead-letters?where=type%3Dbenchmark.Refund")
    found = re.findall(r'class="id" href="(/messages/[^"?]+)"', browser.text)[:2]
    now = _timed(browser, [*PATHS, *found])
    middle = console.live.states.seq // 2
    browser.ready(f"/?at={middle}")
    past = _timed(browser, [f"{path}{'&' if '?' in path else '?'}at={middle}" for path in ("/", "/types", "/messages?place=ready")])
    console.close()
    times, before = [ms for page in now.values() for ms in page], [ms for page in past.values() for ms in page]
    return [first_ms, _p95(times), max(times), max(_p95(page) for page in now.values()), _p95(before)]


def _timed(browser: Browser, paths: Sequence[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(TURNS):
        for path in paths:
            status, took_ms = browser.ask(path)
            if status != OK:
                raise RuntimeError(f"{path} was answered with {status}")
            found[path].append(took_ms)
    return found


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def _installed() -> Any:
    try:
        import uvicorn  # noqa: F401 - only where it is installed

        from perdure.console.console import Console
    except ImportError as error:
        raise Missing("perdure[console] is not installed") from error
    return Console


@contextmanager
def _open(system: perdure.System) -> Iterator[None]:
    """Serve the system's console from its own process, and keep a page open in a browser of another process."""
    import uvicorn

    from perdure.console import asgi

    app = asgi(system, principal=lambda _: "benchmark", authorize=lambda *_: True)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError("the console did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "benchmarks.console.browser", str(port)], stdin=subprocess.PIPE) as browser:
        try:
            yield
        finally:
            if browser.stdin is not None:
                browser.stdin.close()
            browser.wait(START_S)
            server.should_exit = True
            thread.join(START_S)


def _trip(folder: Path, seconds: float, *, is_open: bool) -> tuple[float, float]:
    """Publish for some seconds and drain; return messages a second, and microseconds of processor time a message."""
    system = perdure.System(folder)

    @system.handler(Job)
    def handle(_message: Job) -> None:
        pass

    messages = [job(i) for i in range(100)]
    with system, _open(system) if is_open else _closed():
        began, cpu_s = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            system.publish_many(messages)
        system.drain(START_S)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        done = system.admin.metrics().completed
    return done / took_s, cpu_s / done * 1e6


@contextmanager
def _closed() -> Iterator[None]:
    yield


def open_page(folder: Path, seconds: float) -> Sequence[float]:
    """Return the median ratios of trips with and without an open page: of the rates, and of the processor times."""
    _installed()
    rates, times = [], []
    for turn in range(PAIRS):
        order = (False, True) if turn % 2 else (True, False)
        made = {is_open: _trip(folder / f"{turn}-{is_open}", seconds, is_open=is_open) for is_open in order}
        rates.append(made[True][0] / made[False][0])
        times.append(made[True][1] / made[False][1])
    return statistics.median(rates), statistics.median(times)


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    waiting = effort.backlogs[-1]
    kinds = tuple(Measure(name, "ms") for name in (FIRST, P95, SLOWEST, WORST_PAGE, PAST))
    note = f"{waiting:,} waiting, {waiting // big_queue.DEAD_PART:,} dead letters"
    return [
        Load("console, pages", kinds, pages, Prepared("console", waiting), note=note),
        Load(
            "console, an open page",
            (Measure(RATE, "x"), Measure(EFFORT_OF, "x")),
            lambda folder: open_page(folder, 8 * effort.seconds),
            note="batches of 100, one worker; the console in the owner's process",
        ),
    ]
