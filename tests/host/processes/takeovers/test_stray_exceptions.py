"""An exception that is thrown into a thread of a shared System that is no actor's costs no other thread a wait without end."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.actors.core.threads.async_exceptions import throw
from tests.host.processes.shop import Order, Quote, shop
from tests.host.processes.spooling.test_spool import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

STRAY: list[type[BaseException]] = [SystemExit, KeyboardInterrupt, MemoryError]
STOP_S = 20.0


def was_hit(log: pytest.LogCaptureFixture, name: str, times: int) -> bool:
    """Return whether a thread has said so many times that an exception was raised in it: at large, or while it served a peer."""
    return log.text.count(f"raised in the thread {name}; it goes on") + log.text.count("failed, and is closed") >= times


def thread_named(name: str, before: Collection[threading.Thread]) -> threading.Thread:
    """Return the thread of a name that has begun since: one of an earlier test may still be about to end."""
    (found,) = [thread for thread in threading.enumerate() if thread.name == name and thread not in before]
    return found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", STRAY)
@pytest.mark.parametrize("name", ["perdure-sessions", "perdure-client"])
def test_a_client_is_served_on(folder: Path, name: str, error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    before = threading.enumerate()
    with shop(str(folder)), perdure.connect(folder, timeout=5.0) as client:
        client.publish(Order(1))
        thread = thread_named(name, before)
        for n in range(1, 4):
            throw(thread.ident or 0, error)
            wait_until(partial(was_hit, caplog, name, n))
            assert client.call(Quote(n), timeout=5.0) == 2 * n
        assert thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", STRAY)
def test_a_stop_ends_though_its_word_to_the_role_is_interrupted(folder: Path, error: type[BaseException]) -> None:
    before = threading.enumerate()
    system = shop(str(folder))
    system.start()
    throw(thread_named("perdure-role", before).ident or 0, error)  # it waits in C, and is hit when the stop wakes it
    stopping = threading.Thread(target=system.stop, args=(1.0,), daemon=True)
    stopping.start()
    stopping.join(STOP_S)
    assert not stopping.is_alive()
    assert not system.running
