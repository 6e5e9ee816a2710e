"""Going through many things in pieces: a generator that pauses after each piece, so that its actor can do other work meanwhile.

Not here: what is searched for (`events/queue/searching`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PIECE", "Look", "in_pieces", "whole"]

T = TypeVar("T")
Look: TypeAlias = Generator[None, None, T]
"""A generator that pauses at each `yield`; its return value is what was found."""

PIECE = 2_000
"""How many things make a piece: they take a few milliseconds."""


def in_pieces(things: Iterable[T]) -> Generator[T | None, None, None]:
    """Yield the things in their order, and None after every `PIECE` of them, where the caller pauses."""
    left = PIECE
    for thing in things:
        yield thing
        left -= 1
        if not left:
            yield None
            left = PIECE


def whole(look: Look[T]) -> T:
    """Return what a look finds, without a pause."""
    while True:
        try:
            next(look)
        except StopIteration as end:
            found: T = end.value
            return found
