"""An owner that reads a long log tells others how far it is: they wait for it as long as it gets on, and their errors say so."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.events.processes.log_reading import UnlessTold
from tests.host.processes.clients.test_faults import suspend
from tests.host.processes.shop import Order, Quote, shop
from tests.host.processes.takeovers import slow_reader
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Read = Callable[..., Program]

WAIT_S = 1.0
"""How long others wait for a word of an owner in these tests."""
PATIENCE_S = 30.0


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def read(folder: Path, gate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Start an owner that reads its log until the gate is there; returns when it is reachable."""
    for module in ("member", "roles", "client"):
        monkeypatch.setattr(f"perdure.processes.{module}.OWNER_WAIT_S", UnlessTold(WAIT_S))
    with shop(str(folder)) as system:
        system.publish_many([Order(n) for n in range(50)])
    started: list[Program] = []

    def start(how: str = "tells") -> Program:
        process = Program(["-m", slow_reader.__name__, str(folder), str(gate), how], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "reads\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def late(gate: Path) -> None:
    """Open the gate once others have waited for longer than they wait for an owner that tells nothing."""
    time.sleep(3 * WAIT_S)
    gate.touch()


@pytest.fixture
def opening(gate: Path) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=late, args=(gate,))
    yield thread
    thread.join()


def test_a_client_waits_as_long_as_its_owner_gets_on_with_the_log(folder: Path, read: Read, opening: threading.Thread) -> None:
    read()
    opening.start()
    with perdure.connect(folder, timeout=UnlessTold(WAIT_S)) as client:
        assert client.call(Quote(21), timeout=PATIENCE_S) == 42


def test_a_member_starts_once_its_owner_has_read_the_log(folder: Path, read: Read, opening: threading.Thread) -> None:
    read()
    opening.start()
    with perdure.System(folder, shared=True, ownership="never") as member:
        assert member.call(Quote(21), timeout=PATIENCE_S) == 42


@pytest.mark.parametrize("other", ["client", "member"])
def test_what_was_asked_of_an_owner_that_died_waits_for_one_that_reads_the_log(
    folder: Path, read: Read, start: Callable[[], Program], opening: threading.Thread, other: str
) -> None:
    reader: list[Program] = []
    first = start()
    member = perdure.System(folder, shared=True, ownership="never")
    with perdure.connect(folder, timeout=UnlessTold(WAIT_S)) if other == "client" else member as front:
        assert front.call(Quote(1), timeout=PATIENCE_S) == 2
        first.kill()
        first.wait()
        reader.append(read())
        opening.start()
        ident = front.publish(Order(7))
        front.drain(PATIENCE_S)
        assert front.state(ident).status == "completed"


def test_a_time_that_a_caller_has_chosen_is_the_most_that_is_waited(folder: Path, read: Read) -> None:
    process = read()
    began_s = time.monotonic()
    says = (
        rf"process {process.pid}, which owns the folder .*, still reads its log \(up to sequence 1,\d\d\d of \d+\).*wait for longer"
    )
    with pytest.raises(perdure.NotRunning, match=says):
        perdure.connect(folder, timeout=2 * WAIT_S)
    assert 2 * WAIT_S <= time.monotonic() - began_s < 4 * WAIT_S


@pytest.mark.parametrize("stopped", [False, True])
def test_an_owner_that_gets_on_no_more_is_not_waited_for(folder: Path, read: Read, *, stopped: bool) -> None:
    process = read("tells" if stopped else "stays")
    raised: list[BaseException] = []

    def connect() -> None:
        try:
            perdure.connect(folder, timeout=UnlessTold(4 * WAIT_S))
        except perdure.NotRunning as error:
            raised.append(error)

    waiting = threading.Thread(target=connect)
    waiting.start()
    if stopped:
        time.sleep(WAIT_S)
        suspend(process.pid)
    try:
        waiting.join(PATIENCE_S)
        assert "does not answer: it was reading its log (up to sequence 1,2" in str(raised[0])
        assert f"kill -CONT {process.pid}" in str(raised[0])
    finally:
        os.kill(process.pid, signal.SIGCONT)


def test_a_system_says_which_process_reads_the_log(folder: Path, read: Read) -> None:
    process = read("stays")
    with pytest.raises(
        perdure.StoreLocked, match=f"process {process.pid}, which owns .* its log .up to sequence 1,234 of"
    ) as raised:
        perdure.System(folder, shared=True).start()
    assert raised.value.pid == process.pid
