"""Signals that reach a command where Python swallows exceptions: it is interrupted all the same."""

from __future__ import annotations

import pytest

from tests.programs import run

PROGRAM = """
import gc, os, signal, sys, time, weakref
from perdure.cli.interrupts import interrupt_on_sigterm
where, number = sys.argv[1], int(sys.argv[2])
interrupt_on_sigterm()

def receive(*_):
    signal.raise_signal(number)
    for _ in range(1000):  # the exception is raised in here
        pass

class Dropped:
    if where == "__del__":
        __del__ = receive

try:
    dropped = Dropped()
    if where == "weakref":
        watched = weakref.ref(dropped, receive)
    if where == "collector":
        gc.callbacks.append(lambda phase, _: receive() if phase == "start" and not dropped else None)
    dropped = None
    if where == "collector":
        gc.collect()
        gc.callbacks.clear()
    time.sleep(30)
    print("goes on")
except KeyboardInterrupt as raised:
    print(type(raised).__name__)
"""


@pytest.mark.parametrize("where", ["weakref", "__del__", "collector"])
@pytest.mark.parametrize(("number", "raised"), [(15, "Terminated"), (2, "KeyboardInterrupt")])
def test_a_signal_whose_exception_is_lost_is_delivered_again(where: str, number: int, raised: str) -> None:
    ended = run(["-c", PROGRAM, where, str(number)], timeout=60)
    assert ended.stdout.split() == [raised], ended.stderr
