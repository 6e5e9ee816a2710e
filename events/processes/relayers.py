"""`Relayers`: which process relays each outbox that several processes of a folder have. Pure.

The owner of the folder decides. Nothing depends on it but how often a database is read: a row that two processes relay for a
moment, since one has just taken over, counts once by its id.

Not here: the relay itself (`actors/services/relay`), and the outboxes of a process (`perdure.outbox`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from perdure.events.processes.signs_of_life import HEARD_S, is_heard

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Relayers"]


class Process(Protocol):
    """A process that has outboxes. Compared by identity."""

    @property
    def heard_s(self) -> float:
        """When it gave its last sign of life, in seconds on the caller's clock."""


class Relayers:
    """The outboxes of the processes other than the owner. One outbox has one name in all processes. For one thread."""

    def __init__(self) -> None:
        self._claims: dict[Process, Mapping[str, int]] = {}

    def claim(self, process: Process, outboxes: Mapping[str, int], own: Collection[str] = ()) -> bool:
        """Note all outboxes that a process has; return whether there is news in one that the owner relays.

        Args:
            process: the process, which stays until `forget`.
            outboxes: by name, how often the process's host has notified of new rows.
            own: the owner's outboxes, which it relays itself.
        """
        before = self._claims.get(process, {})
        if outboxes or before:
            self._claims[process] = outboxes
        return any(news > before.get(name, 0) for name, news in outboxes.items() if name in own)

    def forget(self, process: Process) -> None:
        """Forget a process that is gone."""
        self._claims.pop(process, None)

    def granted(self, process: Process, now_s: float, own: Collection[str] = ()) -> dict[str, int]:
        """Return the outboxes that a process relays, each with a number that changes where there is news in it.

        Of those that the owner does not have, the first process relays that has it and was heard within `HEARD_S`.
        """
        claims = self._claims.get(process, ())
        return {name: self._news(name) for name in claims if name not in own and self._first(name, now_s) is process}

    def _first(self, name: str, now_s: float) -> Process | None:
        having = (process for process, claims in self._claims.items() if name in claims)
        return next((process for process in having if is_heard(process.heard_s, now_s, HEARD_S)), None)

    def _news(self, name: str) -> int:
        return sum(claims.get(name, 0) for claims in self._claims.values())
