"""What one thread submits while the queue is busy: plain messages of one type that travel together, each with an answer of its own.

Only the gathering. In which request a bundle travels is the desk's business, what is accepted a rule of the queue. No lock: a
thread that dies in one could stop all others. Each step is a single operation of a list, and the order of the list decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.commands import DraftRun, Publish
from perdure.events.errors import another

if TYPE_CHECKING:
    from perdure.actors.core.answer import Reply
    from perdure.events.structures.id_index import IdRun

__all__ = ["SUBMIT_BATCH_MAX", "SubmitBatch"]

SUBMIT_BATCH_MAX = 256
"""Messages. More would hardly be cheaper, and be answered later."""
SUBMIT_BATCH_BYTES_MAX = 256 << 10
"""Bytes of payload, but for a single message that is larger."""

END: Any = ()
"""Whoever closes a bundle puts this at the end of its list; what stands before the first of them is in."""


def orphan(reply: Reply, error: BaseException) -> None:
    """Fail a reply in a forked child, if it is of a kind that can be waited for there."""
    fail = getattr(reply, "orphan", None)
    if fail is not None:
        fail(error)


class SubmitBatch:
    """Command and reply in one: the command of all that is in, from when somebody has to know that; the reply of each.

    One thread adds; any thread may close it, which all calls but `add` do.
    """

    __slots__ = ("__weakref__", "_closed", "_ids", "_is_open", "_rows", "_size", "type")

    def __init__(self, type_name: str, ids: IdRun) -> None:
        self.type = type_name
        self._ids = ids
        self._rows: list[tuple[bytes, Reply]] = []
        self._size = 0
        self._is_open = True
        self._closed: list[tuple[Publish, list[Reply]]] = []
        """What all see of it once it is closed: the first entry, as two threads may close it at once."""

    def add(self, payload: bytes, reply: Reply) -> bool:
        """Take a message in; False where there is no room, or the bundle has been closed."""
        rows = self._rows
        size = self._size + len(payload)
        if not self._is_open or (rows and (size > SUBMIT_BATCH_BYTES_MAX or len(rows) >= len(self._ids))):
            return False
        self._size = size
        row = (payload, reply)
        rows.append(row)
        # First in, then a look; who closes does it the other way round: found open, it is in. Else its place tells.
        return self._is_open or any(other is row for other in self._taken())

    @property
    def newest_id(self) -> str:
        """The id of the message that was added last; for the thread that adds, if nobody has closed the bundle since."""
        return self._ids[len(self._rows) - 1]

    def count(self) -> int:
        """Count what is in."""
        return len(self._close()[1])

    def publish(self) -> Publish:
        """Give the command that publishes what is in; always the same one."""
        return self._close()[0]

    def split(self) -> list[SubmitBatch]:
        """Give each message a bundle of its own."""
        publish, replies = self._close()
        pieces = []
        for i, (draft, reply) in enumerate(zip(publish.drafts, replies, strict=True)):
            piece = SubmitBatch(self.type, self._ids[i : i + 1])
            piece.add(draft.payload, reply)
            piece.publish().fresh = publish.fresh
            pieces.append(piece)
        return pieces

    def resolve(self, value: Any) -> None:  # noqa: ARG002 - the answer of each is its id
        """See `Reply.resolve`."""
        replies = self._close()[1]
        for ident, reply in zip(self._ids[: len(replies)], replies, strict=True):
            reply.resolve(ident)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        for reply in self._close()[1]:
            reply.reject(another(error))

    def orphan(self, error: BaseException) -> None:
        """See `PublishFuture.orphan`."""
        for reply in self._close()[1]:
            orphan(reply, another(error))

    def _close(self) -> tuple[Publish, list[Reply]]:
        if not self._closed:
            self._is_open = False
            rows = self._taken()
            run = DraftRun(self.type, self._ids[: len(rows)], [payload for payload, _ in rows])
            self._closed.append((Publish(run, fresh=True), [reply for _, reply in rows]))
        return self._closed[0]

    def _taken(self) -> list[tuple[bytes, Reply]]:
        self._rows.append(END)
        return self._rows[: self._rows.index(END)]
