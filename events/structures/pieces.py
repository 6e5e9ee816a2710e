"""Looks at much that are taken in pieces: a generator that rests after so many, so that its actor can do other work in between.

Not here: what is looked for (`events/queue/dead_letters`, `events/queue/searching/live_messages`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PIECE", "Look", "in_pieces", "whole"]

T = TypeVar("T")
Look: TypeAlias = Generator[None, None, T]
"""Rests at each `yield`; its return value is what was found."""

PIECE = 2_000
"""Things that are looked at before the look rests: a few milliseconds."""


def in_pieces(things: Iterable[T]) -> Generator[T | None, None, None]:
    """Return the things in their order, and None after every `PIECE` of them: then the look is to rest."""
    left = PIECE
    for thing in things:
        yield thing
        left -= 1
        if not left:
            yield None
            left = PIECE


def whole(look: Look[T]) -> T:
    """Return what a look finds, without a rest."""
    while True:
        try:
            next(look)
        except StopIteration as end:
            found: T = end.value
            return found
