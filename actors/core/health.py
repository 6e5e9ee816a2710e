"""The health of one run: deaths, counters, events about actors that are not on record yet, and whether it is closing or has failed.

It outlives every actor, the supervisor included. What follows from a death is decided in `actors/services`.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from perdure.actors.core.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.errors import NotRunning
    from perdure.events.vocabulary import Event

__all__ = ["Health", "OwnersLife"]


class OwnersLife:
    """Until when one owner, over one connection, counts as alive: what it handed out may begin. Written by one thread, read by all.

    A connection that was left goes on to write into its own.
    """

    __slots__ = ("ahead_us", "until_s")

    def __init__(self, until_s: float = 0.0) -> None:
        self.until_s = until_s
        """In monotonic seconds."""
        self.ahead_us = 0
        """By how many microseconds its clock is ahead of this process's, as it last reported."""


class Health:
    """What is known of the run itself; for the supervisor, the engine and the metrics."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.monotonic_s = monotonic_s
        """The clock of the latencies, in seconds."""
        self.commits = Latency()
        """How long commits that a request waits for take, from the append to the answer."""
        self.syncs = Latency()
        self.deaths: dict[str, int] = {}
        """By actor: how many times it died in this run."""
        self.recent_deaths: dict[str, list[float]] = {}
        """By actor: the times of the deaths that count in the budget."""
        self.counters: dict[str, int] = {}
        """Restarts, failed snapshots, I/O errors and the like in this run."""
        self.unrecorded: dict[int, Event] = {}
        """By `id`: events about actors that are not known to be on record; the death of a supervisor or a journal loses none."""
        self.failed: NotRunning | None = None
        """Why the run has stopped for good; None: it has not."""
        self.lacks_threads = False
        """An actor could not be started, and that was logged as an error."""
        self.closing = False
        """A stop has begun."""
        self.owner = OwnersLife(math.inf)
        """Of the process that owns the log; replaced with the connection to it. This one, while it owns the log, lives."""

    def count(self, what: str, n: int = 1) -> None:
        """Add to a counter."""
        self.counters[what] = self.counters.get(what, 0) + n
