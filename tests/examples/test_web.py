"""Run the programs of examples/web/ under their real servers: publish from many requests at once, kill workers, reload.

Each order must be published once and handled exactly as recorded: the worker's handler writes a line for each attempt.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import perdure
from perdure.events.vocabulary import Completed, Leased, Published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

WEB = Path(__file__).parents[2] / "examples" / "web"
PATIENCE_S = 60.0
REQUESTS_AT_ONCE = 8


def wait_until(holds: Callable[[], object], log: Path) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, log.read_text()
        time.sleep(0.02)


class Program:
    """A process group that runs one command in a copy of examples/web/; its output goes to a file."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.log = folder / f"{re.sub('[^a-z]', '', command[-1])}.log"
        with self.log.open("wb") as log:
            env = {**os.environ, "PYTHONFAULTHANDLER": "1"}
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=env, start_new_session=True)

    def found(self, pattern: str) -> list[str]:
        """Return what the only group of a pattern matches in the output so far."""
        return re.findall(pattern, self.log.read_text())

    def wait_for(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until the output has a pattern, so many times."""
        wait_until(lambda: len(self.found(pattern)) >= times or self.process.poll() is not None, self.log)
        found = self.found(pattern)
        assert len(found) >= times, self.log.read_text()
        return found

    def told_where_it_is(self) -> str:
        """End it, and return its output with the stacks of all its threads, in each of its processes, at the end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S / 10)
        return self.log.read_text()

    def stop(self) -> None:
        """Stop it in good order."""
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) in (0, -signal.SIGTERM), self.log.read_text()

    def kill(self) -> None:
        """Kill all that is left of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEB, tmp_path / "web"))


@pytest.fixture
def run(folder: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def run(*command: str) -> Program:
        programs.append(Program(folder, *command))
        return programs[-1]

    yield run
    for program in programs:
        program.kill()


@pytest.fixture
def worker(run: Callable[..., Program]) -> Program:
    program = run(sys.executable, "-m", "perdure", "run", "worker:system")
    program.wait_for("worker:system runs")
    return program


def place(base: str, orders: Iterable[str], after: str = "") -> None:
    """Place all orders, several at a time, as a browser does: what a killed worker did not answer is sent again."""

    def one(order: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = http.post(f"{base}/orders/{order}{after}")
            except httpx.TransportError:
                assert time.monotonic() < until_s
                time.sleep(0.02)
                continue
            assert (answer.status_code, answer.json()["id"]) == (202, f"order-{order}")
            return

    with httpx.Client(timeout=PATIENCE_S) as http, ThreadPoolExecutor(REQUESTS_AT_ONCE) as requests:
        list(requests.map(one, orders))


def check_orders(folder: Path, orders: Iterable[str]) -> None:
    """Each order was published once, completed, and handled exactly as often as the log says."""
    with perdure.connect(folder / "orders-data") as client:
        client.drain(PATIENCE_S)
        records = list(client.audit.events())
    published = [str(record.message_id) for record in records if isinstance(record.event, Published)]
    completed = [f"{record.message_id} {record.event.attempt}" for record in records if isinstance(record.event, Completed)]
    assert sorted(published) == sorted(f"order-{order}" for order in orders)
    assert sorted(completed) == sorted((folder / "charged.txt").read_text().splitlines())


@pytest.mark.long(seconds=8)
def test_fastapi_under_uvicorn_with_four_workers(worker: Program, run: Callable[..., Program], folder: Path) -> None:
    server = run(sys.executable, "-m", "uvicorn", "fastapi_app:app", "--workers", "4", "--port", "0")
    (base,) = server.wait_for(r"running on (http://[\d.:]+)")
    pids = server.wait_for(r"Started server process \[(\d+)\]", times=4)
    server.wait_for("(Application startup complete)", times=4)
    place(base, map(str, range(100)))
    for n, pid in enumerate(pids[:2]):
        os.kill(int(pid), signal.SIGKILL)  # the server starts another
        place(base, map(str, range(50 + 50 * n, 200 + 100 * n)))
    server.wait_for(r"Started server process \[(\d+)\]", times=6)
    assert httpx.get(f"{base}/orders/7", timeout=PATIENCE_S).json()["status"] in ("ready", "leased", "completed")
    server.stop()
    check_orders(folder, map(str, range(300)))


def owner_of(folder: Path) -> int:
    """Return the pid of the process that owns the orders."""
    with perdure.connect(folder / "orders-data", timeout=PATIENCE_S) as client:
        return int(repr(client).rpartition("process ")[2].rstrip(">"))


@pytest.mark.long(seconds=10)
def test_every_worker_of_uvicorn_handles_and_another_takes_over_when_the_owner_is_killed(
    run: Callable[..., Program], folder: Path
) -> None:
    server = run(sys.executable, "-m", "uvicorn", "shared_app:app", "--workers", "4", "--port", "0")
    (base,) = server.wait_for(r"running on (http://[\d.:]+)")
    pids = {int(pid) for pid in server.wait_for(r"Started server process \[(\d+)\]", times=4)}
    server.wait_for("(Application startup complete)", times=4)
    place(base, map(str, range(80)))
    owner = owner_of(folder)
    assert owner in pids
    os.kill(owner, signal.SIGKILL)
    place(base, map(str, range(40, 160)))
    assert owner_of(folder) != owner
    with perdure.connect(folder / "orders-data", timeout=PATIENCE_S) as client:
        client.drain(PATIENCE_S)
        records = list(client.audit.events())
    server.stop()
    published = [record.message_id for record in records if isinstance(record.event, Published)]
    assert sorted(map(str, published)) == sorted(f"order-{n}" for n in range(160)), "each once"
    leased = {f"{record.message_id} {lease.attempt}" for record in records if isinstance(lease := record.event, Leased)}
    completed = {f"{record.message_id} {done.attempt}" for record in records if isinstance(done := record.event, Completed)}
    charged = (folder / "charged.txt").read_text().splitlines()
    assert completed <= set(charged) <= leased, "what the killed owner had begun was charged, is on record, and was begun again"
    assert len(charged) == len(set(charged)), "no attempt ran twice"
    assert len({line.split()[0] for line in completed}) == 160


@pytest.mark.long(seconds=6)
def test_django_under_gunicorn_with_preload(worker: Program, run: Callable[..., Program], folder: Path) -> None:
    command = ["--preload", "--workers", "3", "--threads", "4", "--bind", "127.0.0.1:0", "django_app:application"]
    server = run(sys.executable, "-m", "gunicorn", *command)
    (base,) = server.wait_for(r"Listening at: (http://[\d.:]+)")
    pids = server.wait_for(r"Booting worker with pid: (\d+)", times=3)
    place(base, map(str, range(60)), "/2")
    os.kill(int(pids[0]), signal.SIGKILL)
    place(base, map(str, range(30, 120)), "/2")
    server.process.send_signal(signal.SIGHUP)
    place(base, map(str, range(90, 150)), "/2")
    refused = httpx.post(f"{base}/orders/nothing/0", timeout=PATIENCE_S)
    assert refused.status_code == 400
    assert httpx.get(f"{base}/orders/nothing", timeout=PATIENCE_S).json() == {"status": "unknown"}
    server.stop()
    check_orders(folder, map(str, range(150)))


@pytest.mark.long(seconds=5)
def test_flask_with_its_reloader(worker: Program, run: Callable[..., Program], folder: Path) -> None:
    # Where watchdog is installed, Flask uses it, and its queue of events overflows on a busy machine: then it reloads nothing.
    (folder / "watchdog.py").write_text("raise ImportError")
    server = run(sys.executable, "-m", "flask", "--app", "flask_app", "run", "--debug", "--port", "0")
    base = server.wait_for(r"Running on (http://[\d.:]+)")[0]
    place(base, map(str, range(30)))
    source = folder / "flask_app.py"
    answers: list[str] = []
    until_s, again_s = time.monotonic() + 2 * PATIENCE_S, 0.0
    while "many thanks" not in answers[-1:]:  # the program is started anew meanwhile
        if time.monotonic() > again_s:  # again and again: where watchdog is installed, its queue of events may overflow
            source.write_text(source.read_text().replace("thank you", "many thanks"))
            again_s = time.monotonic() + 10.0
        if time.monotonic() > until_s:
            pytest.fail(f"{answers[-9:]}\n{server.told_where_it_is()}\n{worker.told_where_it_is()}")
        try:
            answer = httpx.post(f"{base}/orders/30", timeout=PATIENCE_S)
        except httpx.TransportError as error:
            assert server.process.poll() is None, server.log.read_text()
            answers.append(repr(error))
        else:  # what the program that ends did not answer any more is a page that says so
            answers.append(answer.json()["said"] if answer.is_success else answer.text[:200])
        time.sleep(0.1)  # the reloader looks at files in a thread of the program that answers
    place(base, map(str, range(20, 60)))
    server.stop()
    check_orders(folder, map(str, range(60)))


def in_a_pid_namespace() -> list[str]:
    """Return the command that starts another in a pid namespace of its own, as a container does."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    unshare = ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no pid namespaces for this user")
    return unshare


def test_a_publisher_and_an_owner_in_different_pid_namespaces(run: Callable[..., Program], folder: Path) -> None:
    unshare = in_a_pid_namespace()
    run(*unshare, sys.executable, "-m", "perdure", "run", "worker:system").wait_for("worker:system runs")
    for first in (0, 20):
        publisher = run(*unshare, sys.executable, "publish.py", *map(str, range(first, first + 20)))
        assert publisher.process.wait(PATIENCE_S) == 0, publisher.log.read_text()
        assert len(publisher.log.read_text().split()) == 20
    check_orders(folder, map(str, range(40)))
