"""The thread that renews the lease of a partition ends when it is told to, whatever is raised in it and whatever was forked."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from perdure.store.postgres import ownership
from perdure.store.postgres.ownership import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 30.0
PATIENCE_S = 20.0


class Silent:
    """Stands in for the session with a database that renews whatever it is asked to; nothing else can be read from it."""

    def __init__(self, _connection: object, _statements: object) -> None:
        self._read, self._write = os.pipe()
        self.is_dropped = False

    def fileno(self) -> int:
        return self._read

    def run(self, name: bytes, _values: object) -> list[bytes | None]:
        return [b"\x01"] if name == b"renew" else []

    def drop(self) -> None:
        if not self.is_dropped:
            self.is_dropped = True
            os.close(self._read)
            os.close(self._write)


class Databases:
    def connect(self) -> object:
        return self


@pytest.fixture(autouse=True)
def _sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "Session", Silent)


def begun(kind: type[Lease] = Lease) -> Lease:
    """Return a lease that was renewed once, whose thread now waits."""
    database: Any = Databases()
    lease = kind(database, 1, "me", SECONDS, time.monotonic() - SECONDS, lambda _: None)
    until_s = time.monotonic() + PATIENCE_S
    while lease.has_passed:
        assert time.monotonic() < until_s
        time.sleep(0.002)
    return lease


def check_end(lease: Lease) -> None:
    began_s = time.monotonic()
    lease.end()
    assert not lease._thread.is_alive()
    assert time.monotonic() - began_s < ownership.ANSWER_S, "it was woken, and not given up"


@pytest.fixture
def forked() -> Iterator[list[int]]:
    """Processes to kill."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_an_exception_that_interrupts_its_end_does_not_keep_it(caplog: pytest.LogCaptureFixture) -> None:
    interrupted = threading.Event()

    class Interrupted(Lease):
        def _drop(self) -> None:
            if self._ended < 0 and not interrupted.is_set():
                interrupted.set()
                raise SystemExit
            super()._drop()

    lease = begun(Interrupted)
    check_end(lease)
    assert interrupted.is_set()
    assert lease._session is None
    assert caplog.text.count("it goes on") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_that_lives_on_does_not_keep_it(forked: list[int]) -> None:
    lease = begun()
    pid = os.fork()
    if not pid:
        while True:
            signal.pause()
    forked.append(pid)
    check_end(lease)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_end_in_a_forked_child_is_none_of_the_parent() -> None:
    lease = begun()
    pid = os.fork()
    if not pid:
        try:
            lease._thread = threading.current_thread()  # type: ignore[assignment] # waits for none
            lease.end()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    lease._thread.join(0.2)
    assert lease._thread.is_alive()
    check_end(lease)
