"""Rows of an outbox on their way to the partitions of a cluster: into their ingress in one commit, then out of the outbox.

The relay in the process that owns partition 0 reads them (`perdure.actors.services.relay`), as for a System.
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
"""Seconds that one read of the relay goes on while rows come; then it looks at its other outboxes."""


class OutboxRows:
    """A `Source` that publishes its rows itself, because they belong to any partition. It runs in the relay's thread.

    A row that is published twice, because a process ended before it was deleted, counts once by its id. A row that the owner of
    its partition refuses becomes a dead letter with the reason, as with each publish of another process.

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
        """See `Source.find_out`. Nothing is to be found out: one process owns partition 0."""

    def read(self, after: int) -> Sequence[tuple[int, InvalidMessage]]:
        """Publish and delete the rows after this one; return those that hold no message. See `Source.read`."""
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
