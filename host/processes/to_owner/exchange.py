"""What passes between this process and the owner of a folder, without socket, thread and clock: frames and times in, frames out.

To this process, the owner is an actor that may die: a request stays among the `PendingRequests` until it is answered, is sent again
under the same key to the next owner, and counts once. The socket, and the threads that use it, are in `connection`.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from perdure.actors.core.health import OwnersLife
from perdure.actors.requests.request import whole_of
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.answers.peer_requests import REQUESTS_MAX
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.moments import MOMENTS_CROSS
from perdure.actors.sessions.framing.weight import is_too_heavy
from perdure.actors.sessions.framing.wire import PROTOCOL, TAKES_READING, BadFrame, Kind, pack
from perdure.actors.sessions.session import SUBMITTED
from perdure.events.commands import Publish
from perdure.events.errors import PayloadTooLarge, PerdureError, QueueFull
from perdure.events.processes.signs_of_life import HEARD_S, heard_until
from perdure.processes.to_owner.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.processes.to_owner.no_owner import NoAnswer

__all__ = ["HOLD_S", "Exchange"]

UNANSWERED_MAX = 2
"""ASK frames of publishes without any answer; what is published meanwhile is gathered, and an answer releases it as one frame."""
HOLD_S = 0.02
"""A frame counts as unanswered for so long at most: its publishes may wait for room, and others must not wait for them."""
MEMBER_PING_S = 0.2
"""How often a process with handlers gives a sign of life."""
PING_S = 1.0
"""After this long without a frame of the owner, while something is asked, it is asked whether it is alive."""
QUESTIONS_MAX = 64
"""Questions without an answer whether the owner is alive; one that is stopped gets no more of them until it answers."""
BODY_BYTES_MAX = 64 << 20
"""Bytes of one request: more than one commit takes."""
ASK_BYTES = 1 << 20
"""Requests are gathered into one frame up to about this size."""


class Exchange(Waiting):
    """Requests on their way to whatever process owns the folder, and their answers on the way back.

    `ask` and `post` may be called in any thread. `take` is called by one thread at a time; and so are `frames`, `housekeeping` and
    `lost`, by another one perhaps.

    Args:
        name: what the owner's log calls this process.
        timeout_s: how long a request waits for an owner that takes it, and for a sign of life of one that has it.
        pending: the requests without an answer.
        on_facts: called by `take` with the owner's facts, whenever they change.
        why: returns what is known of an owner that does not answer, and what to do, for an error.
    """

    def __init__(
        self,
        name: str,
        timeout_s: float,
        pending: PendingRequests,
        on_facts: Callable[[dict[str, Any]], None],
        why: Callable[[], NoAnswer],
    ) -> None:
        super().__init__()
        self.name = name
        self.timeout_s = timeout_s
        self.pending = pending
        self.is_up = False
        self.spools = False
        """Publishes are spooled while there is no owner, or a silent one."""
        self.is_silent = False
        self.refusal = ""
        """The error that the owner sent instead of a welcome."""
        self.heard_s = 0.0
        self.takers: dict[Kind, Callable[[list[Any]], None]] = {
            Kind.WELCOME: self._take_welcome,
            Kind.ANSWER: self._take_answers,
            Kind.BYE: self._take_bye,
            Kind.PONG: self._take_pong,
        }
        """By kind of frame, what takes its elements. A part with frames of its own enters itself here, before the first call.
        A taker raises ValueError or TypeError where the elements are none of its kind: that ends the connection."""
        self._on_facts = on_facts
        self._why = why
        self._queue: deque[Request] = deque()
        self._posted: deque[bytes] = deque()
        self._asked_s: dict[int, float] = {}
        self._sent: dict[int, int] = {}
        self._unanswered: dict[int, float] = {}
        """By the number of an ASK frame without any answer, when it was sent."""
        self._frames = 0
        self._lost_s = 0.0
        self._is_urgent = False
        """Something else than publishes is to be sent: nothing is gathered for its sake."""
        self._pinged_s = 0.0
        self.owner = OwnersLife()
        """It counts as alive for a while after the newest question that it has answered. What it sent to a process that was stopped
        since then lies there until that goes on, and says nothing of whether it lives."""
        self._questions: deque[float] = deque()
        """When those without an answer were sent."""

    # --- what is to be sent ------------------------------------------------------------------------------------------------

    def ask(self, request: Request, now_s: float) -> None:
        """Put a request in line. In any thread."""
        self._asked_s[request.key] = now_s
        kind = request.command.__class__
        self._queue.append(request)
        if kind is not SubmitBatch and kind is not Publish:
            self._is_urgent = True

    def post(self, frame: bytes) -> None:
        """Put a frame in line that no answer comes to, and that is of no use to another owner. In any thread."""
        if self.is_up:
            self._posted.append(frame)

    def hello(self, now_s: float = 0.0) -> bytes:
        """Return the first frame of a connection."""
        self._questions.clear()
        self._questions.append(now_s)
        return pack(Kind.HELLO, PROTOCOL, self.name, self.origin(), MOMENTS_CROSS, TAKES_READING)

    def is_ripe(self, now_s: float) -> bool:
        """Return whether `frames` has something to send that waits for nothing."""
        if not self.is_up:
            return False
        if self._posted or (self.held.is_due(now_s) and not self.is_silent):
            return True
        if not self._queue or len(self._sent) >= REQUESTS_MAX:
            return False
        return (
            self._is_urgent
            or len(self._unanswered) < UNANSWERED_MAX
            or min(self._unanswered.values(), default=0.0) + HOLD_S <= now_s
        )

    @property
    def is_gathering(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._queue or self.held)

    def frames(self, now_s: float) -> list[bytes]:
        """Return the frames to be sent now: posted ones, then what is asked."""
        frames = self._look_at_held(now_s)
        while self._posted:
            frames.append(self._posted.popleft())
        if self._queue:
            asked = self._ask_frame(now_s)
            if asked:
                frames.append(asked)
        return frames

    def housekeeping(self, now_s: float) -> list[bytes]:
        """Return frames beside the requests: which answers are awaited no more, and a question whether the owner is alive."""
        if not self.is_up:
            return []
        frames = []
        outstanding = self.pending.outstanding
        if len(self._sent) > len(outstanding):
            gone = self._sent.keys() - outstanding.keys()
            if gone:
                frames.append(pack(Kind.FORGET, *gone))
                for key in gone:
                    self._sent.pop(key, None)
        is_asked = self._sent or self.held or self.is_silent
        is_due = is_asked and now_s - max(self.heard_s, self._pinged_s) > min(PING_S, self.timeout_s / 4)
        is_due = is_due or (self.is_member and now_s - self._pinged_s > MEMBER_PING_S)
        if is_due and len(self._questions) < QUESTIONS_MAX:
            frames.append(self._question(now_s))
        if not self._queue and len(outstanding) > len(self._sent) + len(self.held) + self.local():
            # A thread was killed between entering a request and sending it.
            missing = (one for one in sorted(outstanding.values(), key=attrgetter("key")) if one.key not in self._sent)
            self._queue.extend(request for request in missing if not self.is_local(request))
        return frames

    def _ask_frame(self, now_s: float) -> bytes:
        rows: list[list[Any]] = []
        size = 0
        number = self._frames = self._frames + 1
        queue, sent, outstanding = self._queue, self._sent, self.pending.outstanding
        self._is_urgent = False
        while queue and len(sent) < REQUESTS_MAX and size < ASK_BYTES:
            request = queue.popleft()
            if request.key not in outstanding or request.key in sent or self.is_local(request) or self.held.hold(request):
                continue
            body = self._body(request)
            if body is not None:
                row = [request.key, request.times, request.target, body]
                if isinstance(request.reply, SubmitBatch) and request.reply.count() > 1:
                    row.append(SUBMITTED)
                rows.append(row)
                request.times += 1
                request.writes = 1
                sent[request.key] = number
                size += len(body)
        if queue:
            self._is_urgent = True  # there was no room for it in this frame
        if not rows:
            return b""
        if len(self._unanswered) >= UNANSWERED_MAX:
            self._unanswered = {n: at_s for n, at_s in list(self._unanswered.items()) if at_s + HOLD_S > now_s}
        self._unanswered[number] = now_s
        return pack(Kind.ASK, *rows)

    def _body(self, request: Request, *, to_owner: bool = True) -> bytes | None:
        """See `Waiting._body`."""
        if isinstance(request.command, SubmitBatch):
            request.command = request.command.publish()
        if self.spools and isinstance(request.command, Publish):
            request.command.fresh = False  # an owner that was silent may have it from the spool when it reads this
        try:
            body = OBJECTS.packed(self.on_the_way(request.command, to_owner=to_owner))
        except (TypeError, ValueError) as error:
            self.pending.refuse(request, PerdureError(f"the request cannot cross to another process: {error}"))
            return None
        if len(body) > BODY_BYTES_MAX or is_too_heavy(body):
            most = f"more than the {BODY_BYTES_MAX:,} of one commit, or in too many parts"
            msg = f"the request takes {len(body):,} bytes, {most}. Make several of it."
            self.pending.refuse(request, PayloadTooLarge(msg))
            return None
        return body

    # --- what comes in -----------------------------------------------------------------------------------------------------

    def take(self, kind: Kind, elements: list[Any], now_s: float) -> None:
        """Take a frame of the owner in.

        Raises:
            BadFrame, ValueError, TypeError: no owner of this version sends it.
            ConnectionResetError: the owner has ended the connection.
        """
        taker = partial(self.take_reading, now_s) if kind is Kind.READING and not self.is_up else self.takers.get(kind)
        if taker is None:
            msg = f"a {kind.name} frame, which this process takes from no owner"
            raise BadFrame(msg)
        taker(elements)
        if self.is_up:
            self.heard_s = now_s
            self.is_silent = False
            if self.is_member and self._is_doubtful(now_s):
                self.post(self._question(now_s))

    def _question(self, now_s: float) -> bytes:
        self._pinged_s = now_s
        self._questions.append(now_s)
        return pack(Kind.PING, *self.sent_with_pings())

    def _is_doubtful(self, now_s: float) -> bool:
        """Return whether what comes may be from an owner of before, and no question is under way whose answer settles it.

        Until it is settled, what is handed out here is given back; asked at once, it is settled before that is handed out again.
        """
        newest_s = self._questions[-1] if self._questions else -math.inf
        return max(self.owner.until_s, heard_until(newest_s, HEARD_S)) <= now_s and len(self._questions) < QUESTIONS_MAX

    def _take_pong(self, elements: list[Any]) -> None:
        self.note_pong(elements, self.owner)
        if self._questions:
            asked_s = self._questions.popleft()
            self.owner.until_s = max(self.owner.until_s, heard_until(asked_s, HEARD_S))

    def _take_welcome(self, elements: list[Any]) -> None:
        if not self.is_up:
            self._take_pong([])
        match elements:
            case [int(), dict() as facts]:
                pass
            case _:
                msg = "a malformed welcome"
                raise BadFrame(msg)
        self.note_facts(facts, self.owner)
        try:
            self._on_facts(facts)
        except ValueError as error:
            self.refusal = str(error)
            raise
        if not self.is_up:
            self._begin()

    def _begin(self) -> None:
        """Begin with another owner, or this one again: queue all that has no answer, in the order in which it was asked."""
        self.refusal, self.reading = "", None
        self._sent.clear()
        self._unanswered.clear()
        outstanding = self.pending.outstanding
        for key in [key for key in list(self._asked_s) if key not in outstanding]:
            self._asked_s.pop(key, None)
        self._queue.clear()  # first: what is entered from now on is in the queue, what was before is outstanding
        again = sorted(outstanding.values(), key=attrgetter("key"))
        self._queue.extendleft(reversed(again))
        self._posted.clear()
        for first in self.first_frames:
            self._posted.extend(first())
        self._is_urgent = bool(again)
        self.is_up = True  # last: from now on other threads send

    def _take_bye(self, elements: list[Any]) -> None:
        match elements:
            case [bytes(body)]:
                self.refusal = str(OBJECTS.object(body))
                raise ConnectionResetError(self.refusal)
        msg = "a malformed farewell"
        raise BadFrame(msg)

    def _take_answers(self, elements: list[Any]) -> None:
        for key, body in elements:
            self._answered(key, OBJECTS.object(body))

    def _answered(self, key: int, value: Any) -> None:
        pending = self.pending
        frame = self._sent.pop(key, None)
        if frame is not None:
            self._unanswered.pop(frame, None)
        request = pending.outstanding.get(key) or self._piece(key)
        if request is not None:
            if isinstance(value, QueueFull) and len(pieces := pending.split(request)) > 1:
                for piece in pieces:  # there is room for some of them, perhaps
                    self.ask(piece, self.heard_s)
            elif isinstance(value, BaseException):
                pending.refuse(request, value)
            else:
                pending.settle(request, value)
        self._asked_s.pop(key, None)

    def _piece(self, key: int) -> Request | None:
        """Return the request for one of several messages that were submitted together, where the owner answers each by itself."""
        outstanding, whole = self.pending.outstanding, whole_of(key)
        request = outstanding.get(whole)
        if request is None or whole not in self._sent or not isinstance(request.reply, SubmitBatch):
            return None
        frame, asked_s = self._sent.pop(whole), self._asked_s.pop(whole, self.heard_s)
        for piece in self.pending.split(request):
            self._sent[piece.key], self._asked_s[piece.key] = frame, asked_s
        self._unanswered.pop(frame, None)
        self._sent.pop(key, None)
        return outstanding.get(key)
