"""A peer's whole trip, the same for all: send for a time, workers at work beside, and wait until nothing is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from benchmarks.load import job

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["small_dict", "trip"]

WARM_S = 60.0
PATIENCE_S = 20.0
LOOK_S = 0.005


def small_dict(i: int) -> dict[str, object]:
    """Give the message of all loads as the plain dict that peers carry."""
    return attrs.asdict(job(i))


def trip(send: Callable[[int], int], left: Callable[[], int], seconds: float) -> float:
    """Send for a time, then wait until `left` says that nothing is; gives messages a second, first sending to last completion.

    `send` is told how many were sent before, and says how many it sent. Where workers fall behind by more than a patient
    wait, those that were completed until then count, over all of that time.
    """
    warm = send(0)
    if _until_none(left, WARM_S):
        msg = f"no worker had completed the first {warm} messages after {WARM_S:g} s"
        raise TimeoutError(msg)
    sent, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        sent += send(sent)
    open_still = _until_none(left, PATIENCE_S)
    return (sent - open_still) / (time.perf_counter() - began)


def _until_none(left: Callable[[], int], patience_s: float) -> int:
    """Wait until nothing is left, seen twice, as a message may be seen nowhere while it is passed on; gives what still is."""
    until, clear = time.perf_counter() + patience_s, 0
    while True:
        still = left()
        clear = clear + 1 if not still else 0
        if clear > 1 or time.perf_counter() > until:
            return still
        time.sleep(LOOK_S)
