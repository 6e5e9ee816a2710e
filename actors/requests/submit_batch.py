"""What one thread submits while the queue is busy: plain messages of one type in one command, each with an answer of its own.

Only the gathering. `pending` puts a submit batch into a request; what is accepted is a rule of the queue. There is no lock, as a
thread that dies while it holds one would stop all others. Each step is a single operation of a list, and the order of the list
decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.commands import DraftRun, Publish
from perdure.events.errors import another

if TYPE_CHECKING:
    from perdure.actors.core.threads.answer import Reply
    from perdure.events.structures.id_index import IdRun

__all__ = ["SUBMIT_BATCH_MAX", "SubmitBatch"]

SUBMIT_BATCH_MAX = 256
"""Messages. More would hardly be cheaper, and be answered later."""
SUBMIT_BATCH_BYTES_MAX = 256 << 10
"""Bytes of payload, but for a single message that is larger."""

END: Any = ()
"""Appended to the rows by each thread that closes the batch; the rows before the first one are in."""


def orphan(reply: Reply, error: BaseException) -> None:
    """Fail a reply in a forked child, if it is of a kind that can be waited for there."""
    fail = getattr(reply, "orphan", None)
    if fail is not None:
        fail(error)


class SubmitBatch:
    """Command and reply in one: once closed, the command that publishes all its messages; and the reply that answers each.

    One thread adds; any thread may close it, which all calls but `add` do.
    """

    __slots__ = ("__weakref__", "_closed", "_ids", "_is_open", "_most", "_rows", "_size", "type")

    def __init__(self, type_name: str, ids: IdRun) -> None:
        self.type = type_name
        self._ids = ids
        self._most = len(ids)
        self._rows: list[tuple[bytes, Reply]] = []
        self._size = 0
        self._is_open = True
        self._closed: list[tuple[Publish, list[Reply]]] = []
        """The first entry is what every thread sees of it once it is closed: two threads may close it at once."""

    def add(self, payload: bytes, reply: Reply) -> bool:
        """Add a message; return False if there is no room, or the batch is closed."""
        rows = self._rows
        size = self._size + len(payload)
        if not self._is_open or (rows and (size > SUBMIT_BATCH_BYTES_MAX or len(rows) >= self._most)):
            return False
        self._size = size
        row = (payload, reply)
        rows.append(row)
        # Added first, checked second; a closing thread does it the other way round. Still open: the row is in. Closed: it is
        # in if it stands before `END`.
        return self._is_open or any(other is row for other in self._taken())

    @property
    def newest_id(self) -> str:
        """The id of the message that was added last; for the thread that adds, while the batch is open."""
        return self._ids[len(self._rows) - 1]

    def count(self) -> int:
        """Close it, and return the number of its messages."""
        return len(self._close()[1])

    def publish(self) -> Publish:
        """Close it, and return the command that publishes its messages; always the same one."""
        return self._close()[0]

    def split(self) -> list[SubmitBatch]:
        """Close it, and return a batch for each of its messages."""
        publish, replies = self._close()
        pieces = []
        for i, (draft, reply) in enumerate(zip(publish.drafts, replies, strict=True)):
            piece = SubmitBatch(self.type, self._ids[i : i + 1])
            piece.add(draft.payload, reply)
            piece.publish().fresh = publish.fresh
            pieces.append(piece)
        return pieces

    def resolve(self, _value: Any, /) -> None:
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
