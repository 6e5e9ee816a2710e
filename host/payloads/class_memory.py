"""What is kept for each message class that was used, within a bound: a host may make a class for each of its requests.

What is kept, and how it is made, is in `codecs`, `fidelity` and `type_names`.
"""

from __future__ import annotations

from typing import TypeVar

__all__ = ["CLASSES_MAX", "remember"]

T = TypeVar("T")

CLASSES_MAX = 4096
"""How many classes are remembered at a time. Each takes some 15 kB, the class itself included."""


def remember(kept: dict[type, T], cls: type, value: T) -> T:
    """Return a value once it is kept for a class. At the bound all others are forgotten, and made again where they are needed."""
    if len(kept) >= CLASSES_MAX:
        kept.clear()
    kept[cls] = value
    return value
