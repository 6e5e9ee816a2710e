"""`Waiting`: what becomes of requests that no owner answers: they expire, or publishes among them are spooled.

No clock and no file here: callers pass in the time, and `spooling` writes what is to be spooled. Part of `exchange`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.framing.wire import Kind, pack
from perdure.events.commands import Publish
from perdure.events.errors import PerdureError, another
from perdure.events.processes.log_reading import Reading, waits_until
from perdure.processes.to_owner.equipped import Equipped
from perdure.processes.to_owner.held_publishes import HeldPublishes
from perdure.processes.to_owner.no_owner import not_taken, unanswered

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.events.errors import NotRunning
    from perdure.processes.to_owner.no_owner import NoAnswer

__all__ = ["SPOOL_AFTER_S", "SPOOL_SILENT_S", "Waiting"]

SPOOL_AFTER_S = 0.2
"""How long there is no owner before publishes are spooled: a takeover takes less."""
SPOOL_SILENT_S = 3.0
"""How long an owner is silent before publishes are spooled; it answers a question for life at once unless it is stopped."""
SPOOL_BYTES = 16 << 20
"""Publishes are spooled together up to about this size."""


class Waiting(Equipped, ABC):
    """The part of an `Exchange` that knows how long requests have waited. Called by the thread that looks after the connection."""

    pending: PendingRequests
    timeout_s: float
    is_up: bool
    """An owner has welcomed this process, and is connected."""
    is_silent: bool
    """A publish was spooled because the owner did not answer, and no frame has come since: later ones are spooled at once."""
    heard_s: float
    """When the owner was heard last."""
    _asked_s: dict[int, float]
    _sent: dict[int, int]
    """By the key of what this owner was sent and has not answered, the number of its frame."""
    _queue: deque[Request]
    _posted: deque[bytes]
    _lost_s: float
    """When the last owner was lost, or this began to look for one."""
    _why: Callable[[], NoAnswer]

    def __init__(self) -> None:
        super().__init__()
        self.held = HeldPublishes()
        """Publishes that go behind what was spooled."""

    @abstractmethod
    def _body(self, request: Request, *, to_owner: bool = True) -> bytes | None:
        """Return a request's command as bytes, to this owner or to any; None where it was refused, since it cannot cross."""

    reading: Reading | None = None
    """What an owner that reads its log told of that last; None: none does, or none tells."""
    told_s: float = -math.inf
    """When it did."""

    def lost(self, now_s: float = 0.0) -> None:
        """Note that the connection is gone, or that none was made yet."""
        self.is_up = self.is_silent = False
        self.reading = None
        self._lost_s = now_s
        self._posted.clear()
        self.held.begin()

    def take_reading(self, now_s: float, elements: list[Any]) -> None:
        """Take what an owner that reads its log says of that.

        Raises:
            ValueError: it is malformed.
        """
        match elements:
            case [int(seq), int(last_seq)]:
                self.reading, self.told_s = Reading(seq, last_seq, now_s), now_s
            case _:
                msg = "malformed words of an owner that reads its log"
                raise ValueError(msg)

    def waits_until_s(self, asked_s: float) -> float:
        """Return until when what was asked at a moment waits for an owner, or for a word of the one that has it."""
        return waits_until(asked_s, self.heard_s, self.told_s, self.timeout_s)

    @property
    def told_until_s(self) -> float:
        """Until when the last word of an owner that reads its log has this process wait; long ago where there is none."""
        return waits_until(-math.inf, -math.inf, self.told_s, self.timeout_s)

    def expire(self, now_s: float) -> None:
        """Refuse what has waited as long as it may for an owner, or for a sign of life of the one that has it."""
        pending = self.pending
        if now_s < self.waits_until_s(0.0) or not pending.outstanding:
            return
        for request in list(pending.outstanding.values()):
            # What this process's own actors ask waits for as long as it takes: a worker's outcome must not be lost.
            if (
                request.from_outside
                and not self.is_local(request)
                and now_s >= self.waits_until_s(self._asked_s.get(request.key, 0.0))
            ):
                self._asked_s.pop(request.key, None)
                for piece in pending.split(request):
                    pending.refuse(piece, unanswered(piece, self._why(), self.timeout_s))

    def _look_at_held(self, now_s: float) -> list[bytes]:
        """Put back in line what was held, if nothing of the spool is left; return what is to be said of it."""
        held = self.held
        if not held.is_on or self.is_silent:
            return []
        is_news = held.look(now_s)
        if not held.is_on:
            self._queue.extendleft(reversed(held.take()))
        return [pack(Kind.SPOOLED)] if is_news and self.owner_looks else []

    def until_spool_s(self, now_s: float) -> float:
        """Return for how many seconds more publishes wait for an owner before they are spooled, where there is none."""
        return max(0.0, self._lost_s + SPOOL_AFTER_S - now_s)

    def to_spool(self, now_s: float) -> list[tuple[Request, bytes]]:
        """Return the publishes without an answer, as bytes, if there is no owner now, or one that is silent for long."""
        heard_s = max(self._lost_s, self.heard_s) + SPOOL_SILENT_S if self.is_up else self._lost_s + SPOOL_AFTER_S
        if not self.pending.outstanding or (now_s < heard_s and not self.is_silent):
            return []
        found: list[tuple[Request, bytes]] = []
        size = 0
        for request in sorted(self.pending.outstanding.values(), key=lambda request: request.key):
            if not isinstance(request.command, Publish | SubmitBatch):
                continue
            if self.is_up and not self.is_silent and now_s < self._asked_s.get(request.key, 0.0) + SPOOL_SILENT_S:
                continue
            body = self._body(request, to_owner=False)
            if body is not None:
                found.append((request, body))
                size += len(body)
                if size >= SPOOL_BYTES:
                    break
        if found:
            self.held.note_spooled()  # first: from here on nothing overtakes it
            self.is_silent = self.is_silent or self.is_up
        return found

    def spooled(self, requests: Iterable[Request], error: PerdureError | None = None) -> None:
        """Answer publishes: they are spooled, or with `error` refused."""
        for request in requests:
            self._asked_s.pop(request.key, None)
            self._sent.pop(request.key, None)
            if error is None:
                self.pending.settle(request, None)
                continue
            for piece in self.pending.split(request):
                self.pending.refuse(piece, unanswered(piece, self._why(), self.timeout_s) if piece.writes else another(error))

    def no_owner(self) -> NotRunning:
        """Return the error of a request that no owner has taken in time."""
        return not_taken(self._why(), self.timeout_s)
