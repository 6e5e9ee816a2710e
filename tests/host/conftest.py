"""Fixtures of the front door's tests: a folder, a manual clock, a registry, a collector, commands, and waiting for a condition.

No test and no message class lives here; message classes stand at the top of the module that publishes them.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
import typer.testing

import perdure
from tests.host import on_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import svcs

    Until = Callable[[Callable[[], object]], None]

typer.testing._get_command = functools.cache(typer.main.get_command)  # type: ignore[attr-defined]  # of typer's own
"""The runner makes the parsers of all commands anew for each one that it runs, which takes longer than most of those do."""

PATIENCE_S = 60.0
COMMAND_FORKS = Path(__file__).parent / "cli" / "command_forks.py"


class Collected:
    """Values that handlers collected, in order; a test waits until there are as many as it expects. Safe in any thread."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._changed = threading.Condition()

    def add(self, item: Any) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    @property
    def items(self) -> list[Any]:
        with self._changed:
            return list(self._items)

    def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> list[Any]:
        """Give the items once there are `count` or more; an AssertionError where that takes too long."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._items) >= count, timeout_s)
            assert enough, f"{len(self._items)} of {count} after {timeout_s} s: {self._items[-10:]}"
            return list(self._items)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--store postgres`, leave out what differs there."""
    if config.getoption("store") == "postgres":
        for test in items:
            if (why := on_postgres.why_not(test)) is not None:
                test.add_marker(pytest.mark.skip(why))


@pytest.fixture(autouse=True)
def _store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.config.getoption("store") == "postgres":
        on_postgres.use_postgres(monkeypatch)


class Commands:
    """Runs commands of the command line; each is a process, made by the program `cli/command_forks.py`."""

    def __init__(self, forks: subprocess.Popen[str], folder: Path) -> None:
        self._forks = forks
        self._files = {name: folder / name for name in ("in", "out", "err")}

    def __call__(
        self, *args: str, cwd: Path | None = None, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Give its exit status, output and errors."""
        for name, text in (("in", stdin), ("out", ""), ("err", "")):
            self._files[name].write_text(text, encoding="utf-8")
        places = {name: str(path) for name, path in self._files.items()}
        job = {"args": args, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ) if env is None else env, **places}
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.write(json.dumps(job) + "\n")
        self._forks.stdin.flush()
        status = int(self._forks.stdout.readline())
        out, err = (self._files[name].read_text(encoding="utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(args, status, out, err)


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Run `perdure` with arguments as a process of its own that needs no time to start."""
    line = [sys.executable, str(COMMAND_FORKS)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:
        yield Commands(forks, tmp_path_factory.mktemp("command"))
        assert forks.stdin is not None
        forks.stdin.close()


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def clock() -> perdure.ManualClock:
    return perdure.ManualClock()


@pytest.fixture
def registry() -> svcs.Registry:
    """An empty registry of services."""
    import svcs

    return svcs.Registry()


@pytest.fixture
def until() -> Until:
    """Wait until a condition holds; evaluate it every two milliseconds, and less often the longer it takes."""

    def wait(condition: Callable[[], object]) -> None:
        began_s = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - began_s
            assert waited_s < PATIENCE_S, "the condition did not come to hold"
            time.sleep(max(0.002, min(0.05, waited_s / 100)))

    return wait
