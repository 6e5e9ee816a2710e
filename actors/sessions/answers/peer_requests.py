"""The requests of one peer that have no answer yet, and the answers that go out under their keys.

Whether a request may be made, and to which actor it goes, is in `session`. What an answer looks like in a frame is in `framing`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.sessions.answers.replies import AnswerKey, SubmittedRun
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.wire import BadFrame, Kind, pack
from perdure.events.errors import NotRunning, PerdureError, PublishTimeout
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request

__all__ = ["REQUESTS_MAX", "PeerRequests"]

logger = GuardedLogger("perdure")

REQUESTS_MAX = 65_536
"""Requests of one peer without an answer."""
ANSWER_BYTES_MAX = 64 << 20
"""Bytes of one answer."""
FRAME_BYTES = 1 << 20
"""Answers are gathered into one frame up to about this size."""
DONE = OBJECTS.packed(None)
"""What answers a request of which there is nothing to say but that it is done."""


class PeerRequests:
    """By the peer's key, each request without an answer. Methods run in the server's thread, but for those that say otherwise.

    Args:
        pending: the owner's, which take the requests.
        notify: called in any thread when there are `frames`.
    """

    def __init__(self, pending: PendingRequests, notify: Callable[[], None]) -> None:
        self._pending = pending
        self._notify = notify
        self._requests: dict[int, Request | None] = {}
        """None: not sent to an actor, or answered by the session itself."""
        self._refused: dict[int, None] = {}
        """The keys of the newest requests that were refused: one that comes once more must not be done after all."""
        self._answers: deque[tuple[AnswerKey, Any]] = deque()
        """Under the key of its request; of a submitted message also under its place among those that were sent with it."""
        self._gone: deque[int] = deque()
        """Keys of requests whose answer an actor's thread has sent: the server's thread enters requests, so it removes them."""
        self.over: PerdureError | None = None
        """Why nothing more is answered here: the run has ended. The next owner answers what is left."""

    def __len__(self) -> int:
        """Return how many requests have no answer."""
        self._remove_gone()
        return len(self._requests)

    def __contains__(self, key: int) -> bool:
        """Return whether a request has come and has no answer."""
        return key in self._requests

    def has_come(self, key: int) -> bool:
        """Return whether a request is here, or was refused: then it is a frame that came once more."""
        return key in self._requests or key in self._refused

    def enter(self, key: int) -> None:
        """Note a request that has come.

        Raises:
            BadFrame: the peer waits for too many answers.
        """
        if self._gone:
            self._remove_gone()
        if len(self._requests) >= REQUESTS_MAX:
            msg = f"more than {REQUESTS_MAX:,} requests without an answer"
            raise BadFrame(msg)
        self._requests[key] = None

    def sent(self, key: int, request: Request) -> None:
        """Note what was sent to an actor for a request."""
        self._requests[key] = request

    def forget(self, key: object) -> None:
        """Drop a request that the peer waits for no longer."""
        if isinstance(key, int) and (request := self._requests.pop(key, None)) is not None:
            self._drop_pieces(request)

    def forget_all(self) -> None:
        """Drop all requests."""
        self._remove_gone()
        requests, self._requests = self._requests, {}
        for request in requests.values():
            if request is not None:
                self._drop_pieces(request)

    def _drop_pieces(self, request: Request) -> None:
        for piece in self._pending.pieces_of(request):
            self._pending.forget(piece)

    def answered(self, key: AnswerKey, value: Any) -> None:
        """Take an answer, or an error; callable in any thread, and more than once: the first counts."""
        self._answers.append((key, value))
        self._notify()

    def frames(self) -> list[bytes]:
        """Return the answers that have come since; `over` is set where the run has ended without answering something."""
        frames: list[bytes] = []
        if self._gone:
            self._remove_gone()
        if not self._answers:
            return frames
        rows: list[Any] = []
        size = 0
        while self._answers:
            key, value = self._answers.popleft()
            if not self._is_awaited(key):
                continue
            if isinstance(value, NotRunning) or (
                isinstance(value, PublishTimeout) and isinstance(self._pending.closed, NotRunning)
            ):
                self.over = NotRunning(str(value))  # the next owner answers it
                break
            body = _body(value)
            if isinstance(value, BaseException):
                self._note_refused(key[0] if isinstance(key, tuple) else key)
            rows.append([self._answered_key(key), body])
            size += len(body)
            if size >= FRAME_BYTES:
                frames.append(pack(Kind.ANSWER, *rows))
                rows, size = [], 0
        if rows:
            frames.append(pack(Kind.ANSWER, *rows))
        return frames

    def only_answer(self) -> tuple[tuple[AnswerKey, Any], bytes] | None:
        """Return an answer and its frame if it says just that a request is done, and no other has come or is awaited; else None.

        It stays here until `gone_out`. Callable in any thread, by the one that may write to the peer.
        """
        answers = self._answers
        if len(answers) != 1 or len(self._requests) - len(self._gone) != 1:
            return None  # more are on their way, perhaps, and one frame for all wakes the peer once
        answer = answers[0]
        key, value = answer
        if value is not None or key.__class__ is not int or key not in self._requests:
            return None
        return answer, pack(Kind.ANSWER, [key, DONE])

    def gone_out(self, answer: tuple[AnswerKey, Any]) -> None:
        """Note that what `only_answer` returned is sent. Twice does no harm; callable as that is."""
        if answer[0].__class__ is int:
            self._gone.append(answer[0])
        if self._answers and self._answers[0] is answer:
            self._answers.popleft()

    def _remove_gone(self) -> None:
        while self._gone:
            self._requests.pop(self._gone.popleft(), None)

    def _is_awaited(self, key: AnswerKey) -> bool:
        if not isinstance(key, tuple):
            return key in self._requests
        request = self._requests.get(key[0])
        return request is not None and isinstance(request.reply, SubmittedRun) and key[1] not in request.reply.answered

    def _note_refused(self, key: int) -> None:
        self._refused[key] = None
        if len(self._refused) > REQUESTS_MAX:
            del self._refused[next(iter(self._refused))]

    def _answered_key(self, key: AnswerKey) -> int:
        """Note that an answer goes out, and return the key that it has for the peer."""
        if not isinstance(key, tuple):
            del self._requests[key]
            return key
        whole, i = key
        request = self._requests[whole]
        if request is not None and isinstance(request.reply, SubmittedRun):
            request.reply.answered.add(i)
            if len(request.reply.answered) == request.reply.count():
                del self._requests[whole]
        return whole + 1 + i


def _body(value: Any) -> bytes:
    """Return an answer as bytes; what cannot cross becomes a refusal that says so."""
    try:
        body = OBJECTS.packed(value)
    except (TypeError, ValueError, msgspec.MsgspecError, OverflowError) as error:
        logger.exception("an answer of %s cannot cross to another process", type(value).__name__)
        return OBJECTS.packed(PerdureError(f"the owner's answer cannot cross to another process: {error}"))
    if len(body) > ANSWER_BYTES_MAX:
        msg = (
            f"the answer takes {len(body):,} bytes, and a connection takes {ANSWER_BYTES_MAX:,}: ask for less at a time, as with "
            "`limit=` and `before=` of `dead_letters.list`"
        )
        return OBJECTS.packed(PerdureError(msg))
    return body
