"""Taking in publishes: many in one decision where that can be, each on its own merits where not.

Which ones are decided together, and whether they are accepted, are rules (`events/queue`: `publish_groups`, `publishing`); waiting
publishes are in `waiting_publishers`; all else, in `queue`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from perdure.actors.queue.waiting_publishers import WaitingPublishers
from perdure.actors.requests.answers import Settle, SettleAll
from perdure.events.commands import DraftRun
from perdure.events.errors import PerdureError
from perdure.events.queue.publish_groups import group_key, merged

if TYPE_CHECKING:
    from perdure.actors.queue.queue import Queue
    from perdure.actors.requests.pending import Request
    from perdure.events.commands import Publish

__all__ = ["PASS_BYTES", "PASS_EVENTS", "Admission"]

logger = logging.getLogger("perdure")

PASS_EVENTS = 20_000
PASS_BYTES = 16 << 20
"""Events and bytes of one append, but for what is decided about last in it: a pass that decides about more is sent in several."""


class Admission:
    """The part of the queue that publishers talk to; of one term, as the queue's state is."""

    __slots__ = ("_bytes", "_came", "_drafts", "_queue", "waiting_publishers")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._came: list[Request] = []
        """Publishes that came in a row, and are not decided about."""
        self._drafts = self._bytes = 0
        """How many drafts those are, and how large their payloads. What follows from them is measured when it is decided."""
        self.waiting_publishers = WaitingPublishers(queue.pending, queue.publish_timeout_s)

    def add(self, request: Request, now_us: int) -> None:
        """Take a publish to those that came before it in a row."""
        self._came.append(request)
        drafts = request.command.drafts
        if type(drafts) is DraftRun:
            self._drafts += len(drafts.payloads)
            self._bytes += drafts.size if drafts.size >= 0 else drafts.payload_bytes()
        else:
            self._drafts += len(drafts)
            self._bytes += sum([len(draft.payload) for draft in drafts])
        if self._bytes >= PASS_BYTES or self._drafts >= PASS_EVENTS:
            self.decide(now_us)

    def decide(self, now_us: int) -> None:
        """Accept what came in a row as if it were one; where that cannot be, one by one, each on its own merits."""
        came, self._came = self._came, []
        self._drafts = self._bytes = 0
        alike: list[Request] = []
        kind: object = None
        for request in came:
            command = request.command
            if request.seen or request.times > 1:
                command.fresh = False  # sent again, or told twice: its ids may be known by now
            request.seen = True
            mine = group_key(command)
            if alike and mine != kind:
                self._decide_alike(alike, now_us)
                alike = []
            kind = mine
            alike.append(request)
        self._decide_alike(alike, now_us)

    def _decide_alike(self, requests: list[Request], now_us: int) -> None:
        """Accept many as one; where one of them cannot be, each on its own merits."""
        queue = self._queue
        if len(requests) > 1 and not self.waiting_publishers.parked:
            try:
                queue.decide(merged([request.command for request in requests]), now_us)
            except PerdureError:
                logger.debug("%d publishes cannot be accepted as one", len(requests))
            else:
                queue.synced.append(SettleAll(queue.pending, requests))
                queue.cut_where_full(now_us)
                return
        for request in requests:
            queue.command(request, now_us)

    def take(self, request: Request, publish: Publish, now_us: int) -> None:
        """Decide about one by itself; first come, first served.

        Raises:
            PerdureError: it is refused, or has to wait (`QueueFull`, see `park`).
        """
        if self.waiting_publishers.parked:
            self.park(request, publish, now_us)
        else:
            self._publish(request, publish, now_us)

    def park(self, request: Request, publish: Any, now_us: int) -> None:
        """Let it wait for room; of a bundle each message by itself, as there may be room for some."""
        pieces = self._queue.pending.split(request)
        if pieces == [request]:
            self.waiting_publishers.park(request, publish, now_us)
        else:
            for piece in pieces:
                self._queue.command(piece, now_us)

    def admit(self, now_us: int) -> None:
        """Let in who waits for room, as far as there is some."""
        self.waiting_publishers.admit(now_us, self._let_in)

    def _let_in(self, request: Request, publish: Publish, now_us: int) -> None:
        self._publish(request, publish, now_us)
        self._queue.cut_where_full(now_us)

    def _publish(self, request: Request, publish: Publish, now_us: int) -> None:
        self._queue.decide(publish, now_us)
        self._queue.synced.append(Settle(self._queue.pending, request, None))
