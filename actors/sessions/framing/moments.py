"""Requests whose moments mean the same at both ends of a connection: they cross in terms of a clock that both can read.

That is the machine's wall clock on a folder; with a database too, as far as its hosts keep their clocks in step. When the bytes are
made or read, each side subtracts or adds the lead of its own clock over it. The rule is in `perdure.events.moments`.

An end that does not announce this is of an older version: moments from it and to it cross as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.sessions.framing.delivered import Reported
from perdure.events.moments import has_moments, moved

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AHEAD", "MOMENTS_CROSS", "as_read", "as_sent"]

MOMENTS_CROSS = 1
"""What a peer puts into its HELLO, behind its origin, to announce it."""
AHEAD = "ahead_us"
"""The fact in a WELCOME by how much the owner's clock is ahead now, which announces it as well."""


def as_sent(command: Any, ahead_us: Callable[[], int]) -> Any:
    """Return a command as it crosses; itself where it has no moments. `ahead_us` returns by how much this clock is ahead."""
    return _moved(command, ahead_us, -1)


def as_read(command: Any, ahead_us: Callable[[], int]) -> Any:
    """Return a command that has crossed, by the clock here."""
    return _moved(command, ahead_us, 1)


def _moved(command: Any, ahead_us: Callable[[], int], sign: int) -> Any:
    if command.__class__ is Reported:
        if not any(map(has_moments, command.reports)):
            return command
        by_us = sign * ahead_us()
        return attrs.evolve(command, reports=[moved(report, by_us) for report in command.reports])
    return moved(command, sign * ahead_us()) if has_moments(command) else command
