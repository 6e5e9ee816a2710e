"""What processes check out by hand goes back when they are gone, and stays theirs as long as they live, whatever ends besides."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.queue.consumers import origin_of
from perdure.actors.sessions.departures.departed import RETURN_S, Departed, is_gone
from tests.host.processes.spooling.test_spool import wait_until
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[[], Program]

LONG_S = 1000.0
CONSUMER = """
import sys, perdure
with perdure.connect(sys.argv[1], timeout=60) as client:
    delivery = client.checkout("dict", lease=1000)
    print(delivery.id, delivery.attempt, flush=True)
    sys.stdin.readline()
    delivery.ack()
    print("acked", flush=True)
"""


@pytest.fixture
def consume(folder: Path) -> Iterator[Callable[[], Program]]:
    """Start a process that checks one message out, and acknowledges it when it is told to; `told` has been read then."""
    started: list[Program] = []

    def consume() -> Program:
        pipe = subprocess.PIPE
        started.append(Program(["-c", CONSUMER, str(folder)], stdin=pipe, stdout=pipe))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline()
        return started[-1]

    yield consume
    for process in started:
        process.kill()
        process.communicate()


def taken(client: perdure.Client | perdure.System) -> int:
    """Wait for a message that can be checked out; return its attempt."""
    until_s = time.monotonic() + 30
    while (delivery := client.checkout("dict", lease=LONG_S)) is None:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    return delivery.attempt


def test_what_a_killed_process_had_checked_out_goes_back_at_once_and_its_attempt_counts(
    client: perdure.Client, consume: Callable[[], Program]
) -> None:
    client.publish({"n": 1})
    process = consume()
    assert client.checkout("dict") is None
    process.kill()
    assert taken(client) == 2
    names = [record.name for record in client.audit.events()]
    assert names.count("LeaseExpired") == 1


def test_a_connection_that_breaks_costs_a_consumer_nothing(
    owner: perdure.System, client: perdure.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.actors.sessions.departures.departed.is_gone", lambda _: False)
    client.publish({"n": 1})
    delivery = client.checkout("dict", lease=LONG_S)
    assert delivery is not None
    connection: Any = client._connection
    link = connection._link
    link.end("cut by the test")
    wait_until(lambda: connection._link not in (None, link))
    client.state(delivery.id)
    time.sleep(RETURN_S)
    assert owner.checkout("dict") is None
    delivery.ack()


def test_a_takeover_leaves_what_is_checked_out_to_those_that_live_and_takes_it_from_those_that_do_not(
    start: Start, folder: Path, consume: Callable[[], Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.actors.sessions.departures.departed.RETURN_S", 30.0)  # the one that lives may be slow to come back
    process = start()
    with perdure.System(folder, shared=True) as member:
        for n in range(3):
            member.publish({"n": n})
        mine = member.checkout("dict", lease=LONG_S)
        assert mine is not None
        lives, dies = consume(), consume()
        os.kill(process.pid, signal.SIGSTOP)
        dies.kill()
        dies.wait()
        process.kill()
        assert taken(member) == 2, "nothing waits for the end of its lease"
        time.sleep(RETURN_S / 2)
        assert member.checkout("dict") is None
        assert lives.communicate("ack\n", timeout=30)[0].endswith("acked\n")
        mine.ack()


def test_a_process_that_is_back_in_time_is_not_gone() -> None:
    gone: list[str] = []
    departed = Departed(gone.append)
    me, dead = os.getpid(), subprocess.Popen(["true"])
    wait_until(lambda: is_gone(dead.pid))  # it waits for this process to take note of it
    departed.left("", me, 0.0)
    departed.left("back", me, 0.0)
    departed.left("lives", me, 0.0)
    departed.left("dead", dead.pid, 0.0)
    departed.left("elsewhere", 0, 0.0)
    departed.back("back")
    departed.report_gone(0.0)
    assert gone == ["dead"]
    departed.report_gone(RETURN_S)
    assert gone == ["dead", "lives", "elsewhere"]
    dead.wait()
    assert is_gone(dead.pid)


def test_the_name_of_a_checkout_tells_whose_it_is(folder: Path) -> None:
    with perdure.System(folder, shared=True) as system:
        ids = system.drafts.ids
        assert len({ids.holder() for _ in range(3)}) == 3
        assert {origin_of(ids.holder()) for _ in range(3)} == {ids.origin}
