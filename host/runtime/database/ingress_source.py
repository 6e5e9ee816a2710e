"""What other hosts publish into a partition's ingress, as a `Source` of the relay. How rows are kept is the store's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.moments import as_read
from perdure.actors.sessions.framing.objects import BadObject
from perdure.events.commands import Draft, DraftRun, Publish
from perdure.events.errors import InvalidMessage, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.core.health import Health
    from perdure.store.other_processes import Ingress

__all__ = ["DATABASE", "IngressSource", "Permit"]

Permit: TypeAlias = "Callable[[str, str, Sequence[str]], None]"
DATABASE = "database"
"""The principal of what other hosts publish through the database: of them only is known that their role may write there."""

ROWS_MAX = 500
"""Rows that are read at a time, or fewer large ones."""
SOONEST_S = 0.02
LATEST_S = 0.3
"""The pause between two reads doubles from the one to the other while nothing comes; then the hint is waited for."""
ASLEEP_S = 3600.0


class IngressSource:
    """Implements `Source`.

    Args:
        ingress: the rows.
        under_policy: returns a draft with a key under its handler's policy.
        health: counts what was taken in.
        permit: raises NotAllowed where the principal `DATABASE` may not publish messages of these types; None: it may.
        ahead_us: returns by how much the clock here is ahead of the wall clock of this machine.
        wall_us: returns that wall clock; None: moments in the rows are taken as they are, whatever the clock of their publisher.
    """

    name = "ingress"
    is_spool = True
    in_append = True
    shared_as = ""

    def __init__(
        self,
        ingress: Ingress,
        under_policy: Callable[[Draft], Draft],
        health: Health,
        permit: Permit | None = None,
        ahead_us: Callable[[], int] = lambda: 0,
        wall_us: Callable[[], int] | None = None,
    ) -> None:
        self._ingress = ingress
        self._under_policy = under_policy
        self._health = health
        self._permit = permit
        self._ahead_us = ahead_us
        self._wall_us = wall_us
        self.every_s = SOONEST_S
        """See `Source.every_s`."""

    def find_out(self) -> None:
        """See `Source.find_out`: only the owner of the partition reads it."""

    def read(self, after: int) -> Sequence[tuple[int, Draft | Sequence[Draft] | DraftRun | InvalidMessage]]:
        """See `Source.read`.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        rows = self._rows(after)
        if rows:
            self.every_s = SOONEST_S
        elif self.every_s * 2 < LATEST_S:
            self.every_s *= 2
        else:
            self.every_s = ASLEEP_S if self._ingress.rest() else LATEST_S
        return [(row, self._drafts(row, body, later_us)) for row, body, later_us in rows]

    def _rows(self, after: int) -> list[tuple[int, bytes, int]]:
        if self._wall_us is None:
            return [(row, body, 0) for row, body in self._ingress.read(after, ROWS_MAX)]
        return self._ingress.read_timed(after, ROWS_MAX, self._wall_us)

    def _drafts(self, row: int, body: bytes, later_us: int) -> Sequence[Draft] | DraftRun | InvalidMessage:
        try:
            publish = as_read(OBJECTS.object(body), lambda: self._ahead_us() + later_us)
        except BadObject as error:
            return InvalidMessage(f"row {row} of the ingress cannot be read by this version: {error}")
        if not isinstance(publish, Publish):
            return InvalidMessage(f"row {row} of the ingress is a {type(publish).__name__}, and no publish")
        if self._permit is not None:
            try:
                self._permit(DATABASE, "publish", sorted({draft.type for draft in publish.drafts}))
            except NotAllowed as refusal:
                return InvalidMessage(f"row {row} of the ingress stays there: {refusal}")
        if isinstance(publish.drafts, DraftRun):
            return publish.drafts
        return [self._under_policy(draft) for draft in publish.drafts]

    def delete(self, rows: list[int]) -> None:
        """See `Source.delete`.

        Raises:
            StoreUnavailable: they come again, and their ids are known.
        """
        self._ingress.remove(rows)

    def taken_in(self, rows: list[int], left: list[int]) -> None:
        """See `Spool.taken_in`.

        Raises:
            StoreUnavailable: as `delete`.
        """
        if left:
            self.delete(left)
        self._health.count("ingress_rows_taken_in", len(rows))

    def close(self) -> None:
        """Close the connections."""
        self._ingress.close()
