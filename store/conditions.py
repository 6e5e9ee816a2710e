"""What an examination of the place where a log is kept finds: one condition each, with what to do about it.

A store that has something to say of its place (`HasConditions`) yields these; `host/operations/doctor` adds what the process knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Condition", "HasConditions", "Level"]

Level: TypeAlias = Literal["ok", "note", "problem"]


@attrs.frozen
class Condition:
    """One thing that was looked at."""

    check: str
    """What was looked at, in a word or two."""
    level: Level
    text: str
    """What was found."""
    advice: str = ""
    """What to do; empty where all is well."""


@runtime_checkable
class HasConditions(Protocol):
    """A `LogReader` that knows something of the place where its log is kept."""

    def conditions(self) -> Iterator[Condition]:
        """Yield what is found there; changes nothing.

        Raises:
            StoreUnavailable: it cannot be looked at.
        """
