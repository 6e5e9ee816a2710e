"""What is kept for each message class that was used, within a bound: a host may make a class for each of its requests.

What is kept, and how it is made, is in `codecs`, `fidelity` and `type_names`; which types were checked out by hand in `consuming`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sized

__all__ = ["CLASSES_MAX", "is_full", "remember"]

K = TypeVar("K")
T = TypeVar("T")

CLASSES_MAX = 4096
"""How many classes are remembered at a time. Each takes some 15 kB, the class itself included."""


def is_full(kept: Sized) -> bool:
    """Return whether as many are remembered as may be."""
    return len(kept) >= CLASSES_MAX


def remember(kept: dict[K, T], key: K, value: T) -> T:
    """Return a value once it is kept for a class or its name. At the bound all others are forgotten, and made again when needed."""
    if is_full(kept):
        kept.clear()
    kept[key] = value
    return value
