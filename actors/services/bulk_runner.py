"""The bulk runner: carries out bulk acts of operators, commit after commit, from the plan that is on record.

It holds nothing that its successor, or the next run, could not ask for again: the plan on record says how far the act has come.
What a commit may do, and what it consists of, is in `events/queue/bulk_acts`. `events/queue/searching` finds the letters or
messages.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.actor import Actor
from perdure.actors.core.texts import one_line
from perdure.events.commands import AdvanceBulk, EndBulk, LookAtBulk
from perdure.events.errors import NotRunning, PerdureError, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.events.queue import bulk_acts
from perdure.events.queue.searching.letter_search import NextLetters
from perdure.events.queue.searching.live_messages import FindLive

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence

    from perdure.actors.core.actor import Home
    from perdure.actors.requests.pending import PendingRequests
    from perdure.events.queue.searching.letter_search import Portion
    from perdure.events.structures.bulk import Bulk

__all__ = ["BulkRunner"]

logger = GuardedLogger("perdure")

LETTERS_MAX = 1_000
"""Letters or messages of one commit."""
COMMIT_BYTES = 8 << 20
"""Bytes that the letters of one commit take in the log; a larger letter gets a commit of its own."""
AGAIN_S = 1.0
LOOKS_MAX = 20_000
"""Letters that are looked at before other questions have their turn."""


@attrs.frozen
class _Answered:
    """An actor's answer, or the error that it refused with."""

    question: tuple[int, int]
    value: Any


class _BulkReply:
    """The reply that puts an answer into the mailbox of the runner of that time."""

    def __init__(self, directory: Home, question: tuple[int, int]) -> None:
        self._directory = directory
        self._question = question

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._directory.tell("bulk_runner", _Answered(self._question, value))

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._directory.tell("bulk_runner", _Answered(self._question, error))


class BulkRunner(Actor):
    """Started with the first bulk act; one act at a time, the oldest first, and one question at a time."""

    def __init__(self, directory: Home, pending: PendingRequests, generation: int) -> None:
        super().__init__(directory, "bulk_runner", generation)
        self.pending = pending
        self.questions = 0
        self.then: Callable[[Any], None] | None = None
        """What takes the answer to the last question; None: nothing is under way."""
        self.is_put_off = False
        """The log could not be written: look again after a pause."""

    def on_start(self) -> None:
        """Look which acts are not over."""
        self._look()

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`: until the next try."""
        return AGAIN_S if self.is_put_off else None

    def on_idle(self) -> None:
        """Try again."""
        self.is_put_off = False
        self._look()

    def on_batch(self, messages: list[Any]) -> None:
        """Take the next step of the act that is under way; any other message means: look for one."""
        for message in messages:
            if isinstance(message, _Answered):
                if self.then is not None and message.question == (self.generation, self.questions):
                    then, self.then = self.then, None
                    then(message.value)
            elif self.then is None:
                self._look()

    def _ask(self, actor: str, command: Any, then: Callable[[Any], None]) -> None:
        self.questions += 1
        self.then = then
        self.pending.send(actor, command, _BulkReply(self.directory, (self.generation, self.questions)), from_outside=False)

    def _look(self) -> None:
        self._ask("queue", LookAtBulk(), self._begin)

    def _begin(self, bulks: Sequence[Bulk] | BaseException) -> None:
        if isinstance(bulks, BaseException):
            self.is_put_off = True
            return
        bulk = next((one for one in bulks if not one.is_over), None)
        if bulk is not None and bulk.action == "cancel":
            self._ask("queue", FindLive(bulk.where, bulk.upto, bulk.seq), partial(self._cancel, bulk))
        elif bulk is not None:
            self._next(bulk, bulk.upto)

    def _cancel(self, bulk: Bulk, numbers: array[int] | BaseException) -> None:
        """Cancel the first of the messages that were found, or end the act where none is left."""
        if isinstance(numbers, BaseException):
            self._failed(bulk, numbers)
        elif numbers:
            now, later = numbers[:LETTERS_MAX], numbers[LETTERS_MAX:]
            self._ask("queue", AdvanceBulk(bulk.bulk, now[-1], [], [], cancels=now), partial(self._cancelled, bulk, later))
        else:
            self._ask("queue", EndBulk(bulk.bulk), partial(self._advanced, bulk))

    def _cancelled(self, bulk: Bulk, later: array[int], answer: object) -> None:
        self._cancel(bulk, answer if isinstance(answer, BaseException) else later)

    def _next(self, bulk: Bulk, after: int) -> None:
        question = NextLetters(bulk.where, after, bulk.seq, LETTERS_MAX, COMMIT_BYTES, LOOKS_MAX)
        self._ask("dead_letters", question, partial(self._advance, bulk))

    def _advance(self, bulk: Bulk, portion: Portion | BaseException) -> None:
        """Act on a portion of the letters, or end the act where there are no more."""
        if isinstance(portion, BaseException):
            self._failed(bulk, portion)
        elif portion.letters:
            self._ask("queue", bulk_acts.next_commit(bulk, portion, COMMIT_BYTES), partial(self._advanced, bulk))
        elif portion.is_last:
            self._ask("queue", EndBulk(bulk.bulk), partial(self._advanced, bulk))
        else:
            self._next(bulk, portion.upto)

    def _advanced(self, bulk: Bulk, answer: object) -> None:
        """Look at the plan again, which now says more."""
        if isinstance(answer, BaseException):
            self._failed(bulk, answer)
        else:
            self._look()

    def _failed(self, bulk: Bulk, error: BaseException) -> None:
        """Put an act off where the log cannot be written; end one that can never go on."""
        if not isinstance(error, PerdureError) or isinstance(error, (NotRunning, StoreUnavailable)):
            self.is_put_off = True
            return
        logger.error("the bulk act %s (%s, %s) is ended: %s", bulk.bulk, bulk.action, bulk.where, error)
        self._ask("queue", EndBulk(bulk.bulk, one_line(f"it could not go on: {error}")), self._ended)

    def _ended(self, answer: object) -> None:
        if isinstance(answer, BaseException):
            self.is_put_off = True
        else:
            self._look()
