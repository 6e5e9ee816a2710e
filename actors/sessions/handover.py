"""`HandOver`: a process that prefers to own the folder asks the one that does. What follows is decided in the front door."""

from __future__ import annotations

import attrs

__all__ = ["HandOver"]


@attrs.frozen
class HandOver:
    """Ask the owner to let the folder go; the answer is whether it will, as soon as its handlers have come to rest."""

    pid: int
    """Of the process that asks, for the log."""
