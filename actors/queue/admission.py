"""Taking in publishes: many in one decision where possible, else one by one; and rows of outboxes and spools.

Which are decided together, and whether they are accepted, are rules (`events/queue/admission`). Publishes
that wait for room are in `waiting_publishers`, all other requests in `queue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.messages import TakeInRows, TakenIn
from perdure.actors.queue import decision_pass
from perdure.actors.queue.waiting_publishers import WaitingPublishers
from perdure.actors.requests.answers import Settle, SettleAll
from perdure.events.commands import DraftRun, TakeIn
from perdure.events.errors import PerdureError, QueueFull
from perdure.events.loggers import GuardedLogger
from perdure.events.queue.admission.publish_groups import group_key, merged

if TYPE_CHECKING:
    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.requests.request import Request

__all__ = ["Admission"]

logger = GuardedLogger("perdure")


class Admission:
    """Takes in publishes during one term of the queue."""

    __slots__ = ("_bytes", "_came", "_drafts", "_queue", "waiting_publishers")

    def __init__(self, queue: DecisionPass, publish_timeout_s: float) -> None:
        self._queue = queue
        self._came: list[Request] = []
        """Publishes that came in a row and are not decided yet."""
        self._drafts = self._bytes = 0
        """The number of their drafts, and the bytes of their payloads. The events that follow are measured once decided."""
        self.waiting_publishers = WaitingPublishers(queue.pending, publish_timeout_s)

    def add(self, request: Request, now_us: int) -> None:
        """Add a publish to those that came before it in a row."""
        self._came.append(request)
        drafts = request.command.drafts
        if type(drafts) is DraftRun:
            self._drafts += len(drafts.payloads)
            self._bytes += drafts.size if drafts.size >= 0 else drafts.payload_bytes()
        else:
            self._drafts += len(drafts)
            self._bytes += sum([len(draft.payload) for draft in drafts])
        if self._bytes >= decision_pass.PASS_BYTES or self._drafts >= decision_pass.PASS_EVENTS:
            self.decide(now_us)

    def decide(self, now_us: int) -> None:
        """Decide the publishes that came in a row, group by group."""
        came, self._came = self._came, []
        self._drafts = self._bytes = 0
        alike: list[Request] = []
        kind: object = None
        for request in came:
            command = request.command
            if request.seen or request.times > 1:
                command.fresh = False  # sent again, or received twice: its ids may be known by now
            request.seen = True
            mine = group_key(command)
            if alike and mine != kind:
                self._decide_alike(alike, now_us)
                alike = []
            kind = mine
            alike.append(request)
        self._decide_alike(alike, now_us)

    def _decide_alike(self, requests: list[Request], now_us: int) -> None:
        """Accept many as one; where one of them cannot be accepted, each by itself."""
        queue = self._queue
        if len(requests) > 1 and not self.waiting_publishers.waiting:
            try:
                queue.decide(merged([request.command for request in requests]), now_us)
            except PerdureError:
                logger.debug("%d publishes cannot be accepted as one", len(requests))
            else:
                queue.synced.append(SettleAll(queue.pending, requests))
                queue.cut_where_full(now_us)
                return
        for request in requests:
            self._decide_one(request, now_us)

    def _decide_one(self, request: Request, now_us: int) -> None:
        """Accept one publish, let it wait for room, or refuse it; first come, first served."""
        if self.waiting_publishers.waiting:
            self._let_wait(request, now_us)
            return
        try:
            self._accept(request, now_us)
        except QueueFull:
            self._let_wait(request, now_us)
        except PerdureError as error:
            self._queue.pending.refuse(request, error)

    def _accept(self, request: Request, now_us: int) -> None:
        """Decide one publish, and answer it once it is synced.

        Raises:
            QueueFull: there is no room.
            PerdureError: it is refused.
        """
        queue = self._queue
        queue.decide(request.command, now_us)
        queue.synced.append(Settle(queue.pending, request, None))
        queue.cut_where_full(now_us)

    def _let_wait(self, request: Request, now_us: int) -> None:
        """Let a publish wait for room; of a submit batch each message by itself, as there may be room for some."""
        pieces = self._queue.pending.split(request)
        if pieces == [request]:
            self.waiting_publishers.add(request, now_us)
        else:
            for piece in pieces:
                self._decide_one(piece, now_us)

    def admit(self, now_us: int) -> None:
        """Accept the publishes that wait for room, as far as there is some."""
        self.waiting_publishers.admit(now_us, self._accept)

    def take_in(self, request: Request, command: TakeInRows, now_us: int) -> None:
        """Take in rows in their order, until one finds no room, or cannot be taken in.

        Raises:
            QueueFull: the first one finds none.
            PerdureError: the first one cannot be taken in.
        """
        queue, taken = self._queue, TakenIn(0, [])
        for row, drafts in command.rows:
            try:
                events = queue.decide(TakeIn(drafts), now_us)
            except PerdureError:
                if not taken.count:
                    raise
                break
            if events and command.in_append:
                queue.taken.append(row)
            else:
                taken.left.append(row)
            taken.count += 1
            queue.cut_where_full(now_us)
        queue.synced.append(Settle(queue.pending, request, taken))
