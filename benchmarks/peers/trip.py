"""The whole trip of a peer, the same for all: send for some seconds while workers run, and wait until nothing is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from benchmarks.load import job

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["small_dict", "trip"]

WARM_S = 60.0
BEHIND_S = 20.0
POLL_S = 0.005


def small_dict(i: int) -> dict[str, object]:
    """Return the message of all loads as a plain dict."""
    return attrs.asdict(job(i))


def trip(send: Callable[[int], int], left: Callable[[], int], seconds: float) -> float:
    """Send for some seconds, then wait until `left` returns 0. Return messages a second, first sending to last completion.

    `send` gets the number of messages sent before, and returns how many it sent. If workers fall behind by more than `BEHIND_S`,
    only the messages completed until then count, over the whole time.
    """
    warm = send(0)
    if _until_none(left, WARM_S):
        msg = f"no worker had completed the first {warm} messages after {WARM_S:g} s"
        raise TimeoutError(msg)
    sent, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        sent += send(sent)
    unfinished = _until_none(left, BEHIND_S)
    return (sent - unfinished) / (time.perf_counter() - began)


def _until_none(left: Callable[[], int], timeout_s: float) -> int:
    """Wait until nothing is left in two checks: a message on its way may be missing in one. Return the number left at the end."""
    until, clear = time.perf_counter() + timeout_s, 0
    while True:
        still = left()
        clear = clear + 1 if not still else 0
        if clear > 1 or time.perf_counter() > until:
            return still
        time.sleep(POLL_S)
