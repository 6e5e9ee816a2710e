"""Once no actor is left to answer, each request is refused: those that wait, and those that are made afterwards or just then."""

from __future__ import annotations

import threading

import pytest

from perdure.actors.core.threads.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.events.errors import NotRunning, StoreUnavailable

ENDED = NotRunning("the system has stopped")


def test_what_an_actor_or_a_start_asks_afterwards_is_refused_at_once() -> None:
    told: list[str] = []
    pending = PendingRequests(lambda target, _: told.append(target))
    pending.abandon(ENDED)
    answer = Answer()
    pending.send("queue", "asked", answer, from_outside=False)
    with pytest.raises(NotRunning, match="the system has stopped"):
        answer.wait(0)
    assert not pending.outstanding
    assert not told


def test_a_log_that_opens_at_the_last_moment_opens_nothing() -> None:
    pending = PendingRequests(lambda *_: None)
    pending.close(StoreUnavailable("full"))
    pending.abandon(ENDED)
    pending.reopen()
    with pytest.raises(NotRunning):
        pending.send("queue", "asked", Answer())


def test_what_is_asked_just_then_is_answered() -> None:
    for _ in range(50):
        pending = PendingRequests(lambda *_: None)
        begun = threading.Barrier(3)
        answers: list[Answer] = []

        def ask(pending: PendingRequests = pending, begun: threading.Barrier = begun, answers: list[Answer] = answers) -> None:
            begun.wait()
            for _ in range(100):
                answer = Answer()
                pending.send("queue", "asked", answer, from_outside=False)
                answers.append(answer)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        begun.wait()
        pending.abandon(ENDED)
        for thread in threads:
            thread.join()
        for answer in answers:
            with pytest.raises(NotRunning):
                answer.wait(0)
