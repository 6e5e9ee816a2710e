"""How much memory the objects in some MessagePack would take, computed before any of it is taken.

A hundred megabytes of empty lists are six gigabytes of Python. Bytes that a peer sends are weighed if there are many of them.
"""

from __future__ import annotations

__all__ = ["WEIGHED_BYTES", "WEIGHT_MAX", "is_too_heavy"]

WEIGHED_BYTES = 1 << 20
"""Less than this takes at most some 70 MiB, and is not weighed."""
WEIGHT_MAX = 256 << 20
"""Bytes: more than twice what a publish of 10,000 messages with all their options takes. Reached within a second."""

_OBJECT = 64
_EXTENSION = 512
"""An object of one of our classes, and what it takes to make it."""
_POINTER = 8
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Bytes of the length in the header of binaries and texts, which are skipped."""
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""Bytes of numbers."""
_EXTENSIONS = {0xC7: 2, 0xC8: 3, 0xC9: 5, **dict.fromkeys(range(0xD4, 0xD9), 1)}
"""Bytes of an extension's header; what it holds is MessagePack again."""


def is_too_heavy(raw: bytes, most: int = WEIGHT_MAX) -> bool:
    """Return whether the objects in some MessagePack would take more than `most` bytes besides those of `raw` itself.

    The bytes may be anything. Containers and extensions hold what follows them, so no depth is followed.
    """
    if len(raw) < WEIGHED_BYTES:
        return False
    at, end, weight = 0, len(raw), 0
    while at < end and weight <= most:
        kind = raw[at]
        at += 1
        weight += _POINTER
        if kind < 0x80 or kind >= 0xE0 or 0xC0 <= kind <= 0xC3:  # noqa: PLR2004 - small numbers, nil and booleans cost nothing more
            continue
        if kind in _LENGTHS:
            size = _LENGTHS[kind]
            at += size + int.from_bytes(raw[at : at + size])
        elif 0xA0 <= kind < 0xC0:  # noqa: PLR2004 - a short text
            at += kind - 0xA0
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind in _EXTENSIONS:
            at += _EXTENSIONS[kind]
            weight += _EXTENSION
        elif kind >= 0xDC:  # noqa: PLR2004 - a long list or map
            at += 2 if kind in (0xDC, 0xDE) else 4
        weight += _OBJECT
    return weight > most
