"""A thread that no supervisor sees goes on, whatever is raised in it."""

from __future__ import annotations

import threading

import pytest

from perdure.actors.core.threads.async_exceptions import throw
from perdure.store.disk import enduring_thread
from perdure.store.disk.enduring_thread import EnduringThread


class Stray(BaseException):
    """No Exception, and unknown to perdure."""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RuntimeError, Stray])
def test_the_work_is_begun_again_until_it_returns(error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        if len(begun) < 3:
            raise error

    thread = EnduringThread(work, "t", "a")
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()
    assert begun == ["a"] * 3
    assert caplog.text.count("an exception was raised in the thread t; it goes on") == 2


def test_exceptions_thrown_into_it_at_any_moment_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enduring_thread, "PAUSE_S", 0.0)
    is_over, turns = threading.Event(), [0]

    def work() -> None:
        while not is_over.is_set():
            turns[0] += 1

    thread = EnduringThread(work, "t")
    thread.start()
    for _ in range(500):
        before = turns[0]
        throw(thread.ident or 0, SystemExit)
        while turns[0] == before and thread.is_alive():
            is_over.wait(0.0005)
        assert thread.is_alive()
    is_over.set()
    thread.join(10.0)
    assert not thread.is_alive()


def test_an_exception_raised_where_another_is_told_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted: list[None] = []

    def sleep(_: float) -> None:
        if len(interrupted) < 3:
            interrupted.append(None)
            raise SystemExit

    monkeypatch.setattr("perdure.store.disk.enduring_thread.time.sleep", sleep)
    begun = threading.Event()

    def work() -> None:
        if not begun.is_set():
            begun.set()
            raise KeyboardInterrupt

    thread = EnduringThread(work, "t")
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()
    assert len(interrupted) == 3
