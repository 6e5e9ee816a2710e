"""Exceptions thrown into threads (deaths of actors, timeouts of handlers) leave nothing behind in the interpreter."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from perdure.actors.core.threads.async_exceptions import take_back, throw
from tests.programs import run

if TYPE_CHECKING:
    from pathlib import Path

HOST = """
import sys, time
import attrs, perdure

def traced():
    # As a debugger or coverage does. CPython 3.11 turns here for ever while it believes that an exception waits for a thread.
    sys.settrace(lambda *_: None)
    try:
        (lambda: None)()
    finally:
        sys.settrace(None)

folder, what = sys.argv[1:]
system = perdure.System(folder)

@perdure.message(name="work")
@attrs.frozen
class Work:
    n: int

@system.handler(Work, timeout=0.05, retries=0)
def work(message):
    time.sleep(0.2)  # it is interrupted as soon as this returns

with system:
    if what == "timeout":
        system.publish(Work(1))
        system.drain(timeout=20.0)
        traced()
    if what == "kill":
        system.actors.kill("queue")
        system.publish(Work(1))
        traced()
traced()
"""


@pytest.mark.parametrize("what", ["stop", "kill", "timeout"])
def test_a_debugger_or_coverage_goes_on_after_a_stop_a_kill_and_a_timeout(tmp_path: Path, what: str) -> None:
    host = tmp_path / "host.py"
    host.write_text(HOST, encoding="utf-8")
    done = run([str(host), str(tmp_path / "data"), what], timeout=60)
    assert done.returncode == 0, done.stderr


TRACED = """
import sys, threading
import attrs, perdure
threading.settrace(lambda *_: None)  # as coverage does

@attrs.frozen
class Work:
    n: int

system = perdure.System(sys.argv[1], options=perdure.Options(grace_s=0.1))
begun = threading.Barrier(3)

@system.handler(Work, timeout=0.1, parallelism=2)
def work(message):
    begun.wait(20)
    threading.Event().wait(0.5)

with system:
    system.publish_many([Work(0), Work(1)])  # in one commit: both handlers are to begin within the timeout of the first
    begun.wait(20)
    if sys.argv[2] == "kill":
        for name in list(system.actors):
            system.actors.kill(name)
        assert system.publish(Work(3))
"""


@pytest.mark.parametrize("what", ["stop", "kill"])
def test_a_traced_program_kills_threads_that_wait(tmp_path: Path, what: str) -> None:
    """The thread that kills is traced, too, and the one that is killed waits for it: it is woken after the exception was thrown."""
    host = tmp_path / "host.py"
    host.write_text(TRACED, encoding="utf-8")
    done = run([str(host), str(tmp_path / "data"), what], timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_exception_that_is_thrown_after_take_back_is_raised_as_usual() -> None:
    hit: list[str] = []
    taken, thrown = threading.Event(), threading.Event()

    def run() -> None:
        try:
            throw(threading.get_ident(), ZeroDivisionError)
            hit.append("late")
        except ZeroDivisionError:
            hit.append("first")
        take_back()
        taken.set()
        try:
            thrown.wait(20)
            while True:
                pass
        except LookupError:
            hit.append("later")

    thread = threading.Thread(target=run)
    thread.start()
    assert taken.wait(20)
    throw(thread.ident or 0, LookupError)
    thrown.set()
    thread.join(20)
    assert hit == ["first", "later"]
