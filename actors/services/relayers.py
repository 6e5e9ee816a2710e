"""`Relayers`: which process relays each outbox that several processes of a folder have.

The owner of the folder decides, in the thread of its sessions. Nothing depends on it but how often a database is read: a row that
two processes relay for a moment, since one has just taken over, counts once by its id. The relay itself is in `relay`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["Relayers"]


class Process(Protocol):
    """A process that has outboxes, and whose sign of life the owner hears."""

    def is_heard(self, within_s: float) -> bool:
        """Return whether it has given a sign of life lately."""


class Relayers:
    """The outboxes of a folder's processes by the names that they have in all of them.

    Args:
        own: returns those of the owner, which relays them itself.
        look: has the owner's relay look at once.
    """

    def __init__(self, own: Callable[[], Collection[str]] = tuple, look: Callable[[], None] = lambda: None) -> None:
        self._own = own
        self._look = look
        self._claims: dict[Process, Mapping[str, int]] = {}

    def claim(self, process: Process, outboxes: Mapping[str, int]) -> None:
        """Note all outboxes that a process has, and how often its host has said that there is news in one."""
        before = self._claims.get(process, {})
        if outboxes or before:
            self._claims[process] = outboxes
        own = self._own()
        if any(news > before.get(name, 0) for name, news in outboxes.items() if name in own):
            self._look()

    def left(self, process: Process) -> None:
        """Forget a process that is gone."""
        self._claims.pop(process, None)

    def granted(self, process: Process) -> dict[str, int]:
        """Return the outboxes that a process relays, each with a number that changes where there is news in it.

        Of those that the owner does not have, the first process relays that has it and is heard.
        """
        own = self._own()
        claims = self._claims.get(process, ())
        return {name: self._news(name) for name in claims if name not in own and self._first(name) is process}

    def _first(self, name: str) -> Process | None:
        return next((process for process, claims in self._claims.items() if name in claims and process.is_heard(0.0)), None)

    def _news(self, name: str) -> int:
        return sum(claims.get(name, 0) for claims in self._claims.values())
