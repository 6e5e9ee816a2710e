"""Rows of an outbox on their way to the partitions of a cluster: into their ingress in one commit, then out of the outbox.

The relay of the process that owns the first partition reads them (`perdure.actors.services.relay`), as it does for a System.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perdure.events.commands import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.core.extensions import Source
    from perdure.events.errors import InvalidMessage

__all__ = ["OutboxRows"]

TURN_S = 1.0
"""How long one read of the relay goes on while rows come; then it looks at its other outboxes."""


class OutboxRows:
    """A `Source` that leaves nothing for the relay to publish, because rows belong to any partition. In the relay's thread.

    A row that is published twice, because a process ended before it was deleted, counts once by its id. What the owner of its
    partition refuses becomes a dead letter with the reason, as with each publish of another process.

    Args:
        outbox: reads and deletes rows.
        publish: writes drafts to the partitions that they belong to, all or none.
    """

    is_spool = False
    shared_as = ""

    def __init__(self, outbox: Source, publish: Callable[[list[Draft]], None]) -> None:
        self._outbox = outbox
        self._publish = publish
        self.name = outbox.name
        self.every_s = outbox.every_s

    def find_out(self) -> None:
        """See `Source.find_out`: one process owns the first partition."""

    def read(self, after: int) -> Sequence[tuple[int, InvalidMessage]]:
        """Move the rows behind this one; return those that hold no message. See `Source.read`."""
        unfit: list[tuple[int, InvalidMessage]] = []
        until_s = time.monotonic() + TURN_S
        while rows := self._outbox.read(after):
            after = rows[-1][0]
            drafts = {row: found for row, found in rows if isinstance(found, Draft)}
            unfit += [(row, found) for row, found in rows if row not in drafts]  # type: ignore[misc] # an outbox has no other rows
            if drafts:
                self._publish([*drafts.values()])
                self._outbox.delete([*drafts])
            if time.monotonic() >= until_s:
                break
        return unfit

    def delete(self, rows: list[int]) -> None:
        """See `Source.delete`; nothing is left to delete."""
