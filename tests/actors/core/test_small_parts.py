"""The parts that actors are made of: mailbox, clock and pending requests, each by itself.

Whole systems are in `test_supervision`.
"""

from __future__ import annotations

from typing import Any

import pytest

from perdure.actors.core.clock import ManualClock, SystemClock
from perdure.actors.core.threads.answer import Answer
from perdure.actors.core.threads.mailbox import BATCH_MAX, Mailbox
from perdure.actors.requests.pending import PendingRequests
from perdure.events.errors import NotRunning, StoreUnavailable


def test_a_mailbox_is_emptied_in_order_and_in_bounded_batches() -> None:
    mailbox = Mailbox()
    letters: list[Any] = list(range(BATCH_MAX + 1))
    for letter in letters:
        mailbox.put(letter)
    assert mailbox.drain() == letters[:BATCH_MAX]
    assert mailbox.drain() == letters[BATCH_MAX:]
    assert mailbox.drain(0.001) == []


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    clock = ManualClock(1_000_000)
    moves: list[int] = []
    clock.subscribe(lambda: moves.append(clock.now_us()))
    assert clock.seconds_until(1_000_001) is None
    clock.advance(1.5)
    assert moves == [2_500_000]
    assert clock.seconds_until(2_500_000) == 0.0
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_the_system_clock_never_goes_back() -> None:
    clock = SystemClock()
    times_us = [clock.now_us() for _ in range(1000)]
    assert times_us == sorted(times_us)
    assert clock.seconds_until(times_us[0]) == 0.0


def test_a_request_is_there_for_successors_until_it_is_answered_once() -> None:
    sent: list[tuple[str, Any]] = []
    pending = PendingRequests(lambda name, request: sent.append((name, request)))
    answer = Answer()
    request = pending.send("queue", "command", answer)
    assert sent == [("queue", request)]
    assert pending.unanswered("journal") == []
    assert pending.unanswered("queue") == [request]
    assert request.times == 2
    pending.settle(request, 7)
    pending.settle(request, 8)
    assert answer.wait(1.0) == 7
    assert pending.unanswered("queue") == []


def test_closed_pending_requests_refuse_those_from_outside_but_not_those_in_doubt() -> None:
    pending = PendingRequests(lambda name, request: None)
    plain, doubtful = Answer(), Answer()
    pending.send("queue", 1, plain)
    pending.send("queue", 2, doubtful).writes = 1
    pending.close(StoreUnavailable("full"))
    with pytest.raises(StoreUnavailable):
        plain.wait(1.0)
    with pytest.raises(TimeoutError):
        doubtful.wait(0.001)
    with pytest.raises(StoreUnavailable):
        pending.send("queue", 3, Answer())
    pending.reopen()
    pending.send("queue", 4, Answer())
    pending.abandon(NotRunning("over"))
    assert not pending.outstanding
