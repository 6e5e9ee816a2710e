"""A waker goes on to wake, also after the thread that used it was killed in the middle."""

import os
import select

import pytest

from perdure.actors.sessions.listening.waker import Waker


class Killed(BaseException):
    """What is thrown into an actor that is killed."""


def is_awake(waker: Waker) -> bool:
    poll = select.poll()
    poll.register(waker, select.POLLIN)
    return bool(poll.poll(0))


def test_it_wakes_again_after_a_thread_was_killed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waker = Waker()

    def killed(_fd: int, _data: bytes) -> int:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", killed)
        with pytest.raises(Killed):
            waker.wake()
    assert not is_awake(waker)
    waker.clear_if_woken()
    waker.wake()
    assert is_awake(waker)
    waker.clear_if_woken()
    assert not is_awake(waker)
