"""Publishes that wait for room: a pass looks at as many as it accepts, not at all that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.queue.waiting_publishers import WaitingPublishers
from perdure.actors.requests.pending import PendingRequests
from perdure.events.commands import Publish
from perdure.events.errors import QueueFull

if TYPE_CHECKING:
    from perdure.actors.requests.request import Request

SECOND_US = 1_000_000


class Backlog:
    """Accepts as many as there is room for, and notes those that it was asked about."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []
        self.accepted: list[int] = []

    def __call__(self, request: Request, _now_us: int) -> None:
        self.asked.append(request.key)
        if len(self.accepted) >= self.room:
            msg = "no room"
            raise QueueFull(msg)
        self.accepted.append(request.key)


class Refusals:
    def __init__(self) -> None:
        self.refused: list[BaseException] = []

    def resolve(self, value: Any) -> None:
        """Ignore it."""

    def reject(self, error: BaseException) -> None:
        self.refused.append(error)


def waiting(count: int) -> tuple[WaitingPublishers, PendingRequests, list[Request], Refusals]:
    pending, replies = PendingRequests(lambda *_: None), Refusals()
    waiting_publishers = WaitingPublishers(pending, 10.0)
    requests = []
    for n in range(count):
        request = pending.send("queue", Publish([]), replies)
        waiting_publishers.add(request, n)
        requests.append(request)
    return waiting_publishers, pending, requests, replies


def test_a_pass_looks_at_those_it_accepts_and_the_next_one() -> None:
    waiting_publishers, _, requests, replies = waiting(1_000)
    backlog = Backlog(3)
    waiting_publishers.admit(SECOND_US, backlog)
    keys = [request.key for request in requests]
    assert backlog.accepted == keys[:3], "first come, first served"
    assert backlog.asked == keys[:4]
    assert len(waiting_publishers.waiting) == 997
    assert not replies.refused


def test_a_publish_whose_time_is_over_is_refused_wherever_it_waits_and_leaves_nothing() -> None:
    waiting_publishers, pending, requests, replies = waiting(1_000)
    waiting_publishers.admit(10 * SECOND_US + 499, Backlog(0))
    assert len(replies.refused) == 500
    for request in requests[500:600]:
        pending.forget(request)
    waiting_publishers.admit(60 * SECOND_US, Backlog(0))
    assert len(replies.refused) == 900, "a forgotten request gets no refusal"
    assert not waiting_publishers.waiting
    assert not pending.outstanding


def test_a_publish_that_comes_twice_waits_once() -> None:
    waiting_publishers, _, requests, _ = waiting(3)
    waiting_publishers.add(requests[1], 5)
    backlog = Backlog(10)
    waiting_publishers.admit(SECOND_US, backlog)
    assert backlog.accepted == [request.key for request in requests]
