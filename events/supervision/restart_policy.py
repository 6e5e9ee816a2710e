"""When an actor that died starts again, and how many deaths within a window end the system.

Pure: the times come from the caller. Which deaths count, and what a stopped system answers, is in `actors/services`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PAUSE_FIRST_S", "PAUSE_MAX_S", "RestartDecision", "after_death"]

PAUSE_FIRST_S = 0.01
"""The pause after the second death within the window, in seconds; each further death doubles it."""
PAUSE_MAX_S = 1.0
_DOUBLINGS_MAX = 10
"""Enough to pass `PAUSE_MAX_S`, and few enough for a float."""


class RestartDecision(NamedTuple):
    """What follows from the death of an actor. Times in seconds."""

    deaths_s: list[float]
    """Times of the deaths within the window, oldest first; the next decision starts from them."""
    pause_s: float
    """How long to wait before its successor starts."""
    exhausted: bool
    """The deaths within the window are more than the budget."""


def after_death(deaths_s: Sequence[float], now_s: float, *, budget: int, window_s: float) -> RestartDecision:
    """Return what follows from a death at `now_s`.

    Args:
        deaths_s: when the actor died before, as the last decision returned it.
        now_s: the time of this death, on the same monotonic clock.
        budget: how many deaths within the window an actor may have.
        window_s: the length of the window in seconds.
    """
    recent = [*(at_s for at_s in deaths_s if now_s - at_s < window_s), now_s]
    n = len(recent)
    pause_s = min(PAUSE_FIRST_S * 2.0 ** min(n - 2, _DOUBLINGS_MAX), PAUSE_MAX_S) if n > 1 else 0.0
    return RestartDecision(recent, pause_s, exhausted=n > budget)
