"""What is asked of the queue and changes nothing: where a message or a bulk act stands, and a result. No rule decides them."""

from __future__ import annotations

import attrs

__all__ = [
    "AwaitResult",
    "LookAtBulk",
    "LookUp",
]


@attrs.define
class LookUp:
    """Answer where a message stands. No rule decides it."""

    id: str


@attrs.define
class AwaitResult:
    """Answer once the message has ended and its result is kept. No rule decides it."""

    id: str
    waits: bool = True
    """If False, answer None at once where there is no result yet."""


@attrs.define
class LookAtBulk:
    """Answer where a bulk act stands, None if it is not known; with an empty id, all that are known. No rule decides it."""

    bulk: str = ""
