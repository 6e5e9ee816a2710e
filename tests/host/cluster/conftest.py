"""Hosts of a cluster as processes, for the tests of this folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.host.conftest import Until

LEASE_S = 3.0
PARTITIONS = 4


class Hosts:
    """Starts and kills processes that are hosts of one queue, and reads what they have handled."""

    def __init__(self, folder: Path) -> None:
        self.dsn = shared_server().dsn
        self.name = new_queue()
        self.file = folder / "handled"
        self.file.touch()
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *, partitions: int = PARTITIONS, lease_s: float = LEASE_S) -> subprocess.Popen[str]:
        """Start a host; return once its handlers are at work."""
        script = Path(__file__).with_name("one_host.py")
        arguments = [self.dsn, self.name, str(partitions), str(lease_s), str(self.file)]
        process = subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def handled(self) -> list[tuple[int, str]]:
        """Return process and message id of each call of a handler that came to its end."""
        lines = [line.split() for line in self.file.read_text().splitlines()]
        return [(int(pid), ident) for pid, ident in lines]

    def stop(self, process: subprocess.Popen[str]) -> None:
        """Have a host leave in good order."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0

    def end(self) -> None:
        """Kill what is left."""
        for process in self._processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.wait(PATIENCE_S)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def until() -> Until:
    """Wait until a condition holds; it may ask the database, so not too often."""

    def wait(condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, "the condition did not come to hold"
            time.sleep(0.02)

    return wait


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """No host runs yet."""
    made = Hosts(tmp_path)
    yield made
    made.end()
