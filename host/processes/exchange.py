"""What passes between this process and the owner of a folder, without socket, thread and clock: frames and times in, frames out.

To this process, the owner is an actor that may die: a request stays among the `PendingRequests` until it is answered, is sent again
under the same key to the next owner, and counts once. The socket, and the threads that use it, are in `connection`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.actors.requests.request import whole_of
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.weight import is_too_heavy
from perdure.actors.sessions.framing.wire import PROTOCOL, BadFrame, Kind, pack
from perdure.actors.sessions.peer_requests import REQUESTS_MAX
from perdure.actors.sessions.session import SUBMITTED
from perdure.events.commands import Publish
from perdure.events.errors import NotRunning, PayloadTooLarge, PerdureError, PublishTimeout, QueueFull, another

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.processes.no_owner import NoAnswer

__all__ = ["HOLD_S", "SPOOL_AFTER_S", "SPOOL_SILENT_S", "Exchange"]

UNANSWERED_MAX = 2
"""ASK frames of publishes without any answer; what is published meanwhile is gathered, and an answer releases it as one frame."""
HOLD_S = 0.02
"""A frame counts as unanswered for so long at most: its publishes may wait for room, and others must not wait for them."""
MEMBER_PING_S = 0.2
"""How often a process with handlers gives a sign of life."""
PING_S = 1.0
"""After so long without a word of the owner, while something is asked, it is asked whether it is alive."""
SPOOL_AFTER_S = 0.2
"""How long there is no owner before publishes are spooled: a takeover takes less."""
SPOOL_SILENT_S = 3.0
"""How long an owner is silent before publishes are spooled; it answers a question for life at once unless it is stopped."""
SPOOL_BYTES = 16 << 20
"""Publishes are spooled together up to about this size."""
BODY_BYTES_MAX = 64 << 20
"""Bytes of one request: more than one commit takes."""
ASK_BYTES = 1 << 20
"""Requests are gathered into one frame up to about this size."""


class Exchange:
    """Requests on their way to whatever process owns the folder, and their answers on the way back.

    `ask` and `post` may be called in any thread. `take` is called by one thread at a time; and so are `frames`, `housekeeping` and
    `lost`, by another one perhaps.

    Args:
        name: what the owner's log calls this process.
        timeout_s: how long a request waits for an owner that takes it, and for a word of one that has it.
        pending: the requests without an answer.
        on_facts: called by `take` with what the owner says of itself, whenever that changes.
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
        self.name = name
        self.timeout_s = timeout_s
        self.pending = pending
        self.is_up = False
        """An owner has welcomed this process, and is connected."""
        self.spools = False
        """Publishes are spooled while there is no owner, or a silent one."""
        self.is_silent = False
        """A publish was spooled since the owner did not answer, and it has not been heard since: others are spooled at once."""
        self.refusal = ""
        """What the owner said instead of a welcome."""
        self.heard_s = 0.0
        """When the owner was heard last."""
        self.takers: dict[Kind, Callable[[list[Any]], None]] = {
            Kind.WELCOME: self._take_welcome,
            Kind.ANSWER: self._take_answers,
            Kind.BYE: self._take_bye,
            Kind.PONG: lambda _: None,
        }
        """By kind of frame, what takes its elements. A part with frames of its own enters itself here, before the first call.
        A taker raises ValueError or TypeError where the elements are none of its kind: that ends the connection."""
        self.first_frames: list[Callable[[], list[bytes]]] = []
        """Each returns frames that every owner is sent before it is asked anything: called at each welcome."""
        self.is_local: Callable[[Request], bool] = lambda _: False
        """Tells of a request whether an actor of this process answers it: it is not sent."""
        self.local: Callable[[], int] = lambda: 0
        """Returns how many such requests there may be now."""
        self.crossing: Callable[[Any, int], Any] = lambda command, _: command
        """Returns a command as it crosses, given how often it was sent."""
        self.is_member = False
        """The owner wants to know all the time that this process is alive."""
        self.origin: Callable[[], str] = lambda: ""
        """Returns the name of this process in what it checks out by hand; empty: it checks nothing out."""
        self.told_with_pings: Callable[[], list[Any]] = list
        """Returns what goes along with a sign of life, for each owner anew."""
        self.descriptors: list[int] = []
        """What goes along with the first frame of a connection."""
        self._on_facts = on_facts
        self._why = why
        self._queue: deque[Request] = deque()
        self._posted: deque[bytes] = deque()
        self._asked_s: dict[int, float] = {}
        self._sent: dict[int, int] = {}
        """By the key of what this owner was sent and has not answered, the number of its frame."""
        self._unanswered: dict[int, float] = {}
        """By the number of an ASK frame without any answer, when it was sent."""
        self._frames = 0
        self._lost_s = 0.0
        """When the last owner was lost, or this began to look for one."""
        self._is_urgent = False
        """Something else than publishes is to be sent: nothing is gathered for its sake."""
        self._pinged_s = 0.0

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

    def hello(self) -> bytes:
        """Return the first frame of a connection."""
        return pack(Kind.HELLO, PROTOCOL, self.name, self.origin())

    def is_ripe(self, now_s: float) -> bool:
        """Return whether `frames` has something to send that waits for nothing."""
        if not self.is_up:
            return False
        if self._posted:
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
        return bool(self._queue)

    def frames(self, now_s: float) -> list[bytes]:
        """Return the frames to be sent now: posted ones, then what is asked."""
        frames = []
        while self._posted:
            frames.append(self._posted.popleft())
        if self._queue:
            asked = self._ask_frame(now_s)
            if asked:
                frames.append(asked)
        return frames

    def housekeeping(self, now_s: float) -> list[bytes]:
        """Return what the owner is to be told besides: which answers are awaited no more; and a question whether it is alive."""
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
        is_due = (self._sent or self.is_silent) and now_s - max(self.heard_s, self._pinged_s) > min(PING_S, self.timeout_s / 4)
        if is_due or (self.is_member and now_s - self._pinged_s > MEMBER_PING_S):
            self._pinged_s = now_s
            frames.append(pack(Kind.PING, *self.told_with_pings()))
        if (
            not self._queue and len(outstanding) > len(self._sent) + self.local()
        ):  # a thread was killed between entering and sending
            missing = (request for request in sorted(outstanding.values(), key=_key_of) if request.key not in self._sent)
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
            if request.key not in outstanding or request.key in sent or self.is_local(request):
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

    def _body(self, request: Request) -> bytes | None:
        """Return a request's command as bytes; None where it was refused, since it cannot cross."""
        if isinstance(request.command, SubmitBatch):
            request.command = request.command.publish()
        if self.spools and isinstance(request.command, Publish):
            request.command.fresh = False  # an owner that was silent may have it from the spool when it reads this
        try:
            body = OBJECTS.packed(self.crossing(request.command, request.times))
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
            BadFrame, ValueError, TypeError: it is none that an owner of this version sends.
            ConnectionResetError: the owner has ended the connection.
        """
        taker = self.takers.get(kind)
        if taker is None:
            msg = f"a {kind.name} frame, which this process takes from no owner"
            raise BadFrame(msg)
        taker(elements)
        if self.is_up:
            self.heard_s = now_s
            self.is_silent = False

    def _take_welcome(self, elements: list[Any]) -> None:
        match elements:
            case [int(), dict() as facts]:
                pass
            case _:
                msg = "a welcome that is none"
                raise BadFrame(msg)
        try:
            self._on_facts(facts)
        except ValueError as error:
            self.refusal = str(error)
            raise
        if not self.is_up:
            self._begin()

    def _begin(self) -> None:
        """Another owner, or this one again: it is sent all that has no answer, in the order in which it was asked."""
        self.refusal = ""
        self._sent.clear()
        self._unanswered.clear()
        outstanding = self.pending.outstanding
        for key in [key for key in list(self._asked_s) if key not in outstanding]:
            self._asked_s.pop(key, None)
        self._queue.clear()  # first: what is entered from now on is in the queue, what was before is outstanding
        again = sorted(outstanding.values(), key=_key_of)
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
        msg = "a farewell that is none"
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

    # --- what nothing answers ----------------------------------------------------------------------------------------------

    def lost(self, now_s: float = 0.0) -> None:
        """The connection is gone, or none was made yet."""
        self.is_up = self.is_silent = False
        self._lost_s = now_s
        self._posted.clear()

    def expire(self, now_s: float) -> None:
        """Refuse what has waited for an owner, or for a word of the one that has it, for as long as it may."""
        pending = self.pending
        if now_s < self.heard_s + self.timeout_s or not pending.outstanding:
            return
        for request in list(pending.outstanding.values()):
            # What this process's own actors ask waits for as long as it takes: a worker's outcome must not be lost.
            if (
                request.from_outside
                and not self.is_local(request)
                and now_s >= max(self._asked_s.get(request.key, 0.0), self.heard_s) + self.timeout_s
            ):
                self._asked_s.pop(request.key, None)
                for piece in pending.split(request):
                    pending.refuse(piece, self._in_doubt(piece))

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
        for request in sorted(self.pending.outstanding.values(), key=_key_of):
            if not isinstance(request.command, Publish | SubmitBatch):
                continue
            if self.is_up and not self.is_silent and now_s < self._asked_s.get(request.key, 0.0) + SPOOL_SILENT_S:
                continue
            body = self._body(request)
            if body is not None:
                found.append((request, body))
                size += len(body)
                if size >= SPOOL_BYTES:
                    break
        self.is_silent = self.is_silent or (self.is_up and bool(found))
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
                self.pending.refuse(piece, self._in_doubt(piece) if piece.writes else another(error))

    def no_owner(self) -> NotRunning:
        """Return the error of a request that no owner has taken in time."""
        why, advice = self._why()
        return NotRunning(f"{why} (waited for {self.timeout_s:g} s). {advice}".rstrip())

    def _in_doubt(self, request: Request) -> PerdureError:
        if not request.writes:
            return self.no_owner()
        why, advice = self._why()
        command = request.command.publish() if isinstance(request.command, SubmitBatch) else request.command
        if not isinstance(command, Publish):
            msg = f"{why} (waited for {self.timeout_s:g} s), so what was asked may or may not be done. {advice}"
            return NotRunning(msg.rstrip())
        ids = tuple(draft.id for draft in command.drafts)
        msg = (
            f"{why} (waited for {self.timeout_s:g} s), so {len(ids)} message(s) may or may not be published. Publish again "
            f"with the same id to settle it (the first is {ids[0]}, all are in `.ids`). {advice}"
        )
        return PublishTimeout(msg.rstrip(), ids)


def _key_of(request: Request) -> int:
    return request.key
