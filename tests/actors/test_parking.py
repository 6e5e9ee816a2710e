"""Publishes that wait for room: a pass looks at as many as it lets in, not at all who wait."""

from __future__ import annotations

from typing import Any

from perdure.actors.queue.waiting_publishers import WaitingPublishers
from perdure.actors.requests.pending import PendingRequests, Request
from perdure.events.commands import Publish
from perdure.events.errors import QueueFull

SECOND_US = 1_000_000


class Doors:
    """Lets in as many as there is room for, and counts who knocked."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.knocked: list[int] = []
        self.let_in: list[int] = []

    def __call__(self, request: Request, _now_us: int) -> None:
        self.knocked.append(request.key)
        if len(self.let_in) >= self.room:
            msg = "no room"
            raise QueueFull(msg)
        self.let_in.append(request.key)


class Told:
    def __init__(self) -> None:
        self.refused: list[BaseException] = []

    def resolve(self, value: Any) -> None:
        """Take no note of it."""

    def reject(self, error: BaseException) -> None:
        self.refused.append(error)


def parked(count: int) -> tuple[WaitingPublishers, PendingRequests, list[Request], Told]:
    pending, told = PendingRequests(lambda *_: None), Told()
    waiting_publishers = WaitingPublishers(pending, 10.0)
    requests = []
    for n in range(count):
        request = pending.send("queue", Publish([]), told)
        waiting_publishers.add(request, n)
        requests.append(request)
    return waiting_publishers, pending, requests, told


def test_only_who_gets_in_and_the_next_one_are_looked_at() -> None:
    waiting_publishers, _, requests, told = parked(1_000)
    doors = Doors(3)
    waiting_publishers.admit(SECOND_US, doors)
    keys = [request.key for request in requests]
    assert doors.let_in == keys[:3], "first come, first served"
    assert doors.knocked == keys[:4]
    assert len(waiting_publishers.waiting) == 997
    assert not told.refused


def test_whose_time_is_over_is_refused_wherever_he_waits_and_leaves_nothing() -> None:
    waiting_publishers, pending, requests, told = parked(1_000)
    waiting_publishers.admit(10 * SECOND_US + 499, Doors(0))
    assert len(told.refused) == 500
    for request in requests[500:600]:
        pending.forget(request)
    waiting_publishers.admit(60 * SECOND_US, Doors(0))
    assert len(told.refused) == 900, "who was forgotten is told nothing"
    assert not waiting_publishers.waiting
    assert not pending.outstanding


def test_told_twice_waits_once() -> None:
    waiting_publishers, _, requests, _ = parked(3)
    waiting_publishers.add(requests[1], 5)
    doors = Doors(10)
    waiting_publishers.admit(SECOND_US, doors)
    assert doors.let_in == [request.key for request in requests]
