"""Where the actors' answers to a peer's requests go: replies that hand them to its session.

They are called in the threads of actors, which may be killed in them. What becomes of an answer is in `session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.requests.submit_batch import SUBMIT_BATCH_MAX, SubmitBatch
from perdure.events.commands import DraftRun, Publish
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.threads.answer import Reply

__all__ = ["AnswerKey", "Known", "PeerReply", "SubmittedRun", "submitted_run"]

AnswerKey = int | tuple[int, int]
"""The key of a request; for one of several submitted messages with its place among them."""


class PeerReply:
    """The reply to one request of a peer."""

    __slots__ = ("_answered", "_key")

    def __init__(self, answered: Callable[[AnswerKey, Any], None], key: AnswerKey) -> None:
        self._answered = answered
        self._key = key

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._answered(self._key, value)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._answered(self._key, error)


class Known:
    """The reply to what the session itself asks about a request of its peer."""

    __slots__ = ("reject", "resolve")

    def __init__(self, resolve: Callable[[Any], None], reject: Callable[[BaseException], None]) -> None:
        self.resolve = resolve
        """See `Reply.resolve`."""
        self.reject = reject
        """See `Reply.reject`."""


class SubmittedRun(SubmitBatch):
    """The reply to messages that a peer submitted: one answer where they are accepted as one, else one for each of them."""

    __slots__ = ("_answered", "_key", "_publish", "answered")

    def __init__(self, answered: Callable[[AnswerKey, Any], None], key: int, publish: Publish, type_name: str, ids: IdRun) -> None:
        super().__init__(type_name, ids)
        self._answered = answered
        self._key = key
        self._publish = publish
        self.answered: set[int] = set()
        """Which of them have been answered by themselves: the session notes it."""

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._answered(self._key, value)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._answered(self._key, error)

    def count(self) -> int:
        """See `SubmitBatch.count`."""
        return len(self._publish.drafts)

    def _close(self) -> tuple[Publish, list[Reply]]:
        return self._publish, [PeerReply(self._answered, (self._key, i)) for i in range(self.count())]


def submitted_run(answered: Callable[[AnswerKey, Any], None], key: int, command: object) -> SubmittedRun | None:
    """Return the reply to messages that were submitted together; None where a command is not that of several such."""
    if not isinstance(command, Publish) or not isinstance(command.drafts, DraftRun):
        return None
    ids = command.drafts.ids
    if not isinstance(ids, IdRun) or not 1 < len(ids) <= SUBMIT_BATCH_MAX:
        return None
    return SubmittedRun(answered, key, command, command.drafts.type, ids)
