"""When the journal waits a moment for more requests before it sends a frame to a store that is slow to answer.

Publishers that wait for one append publish again together, a moment after its answer. If the journal sent the first of these at
once, or those that had come meanwhile, the rest would wait for that append and then for their own: two halves would take turns, and
each publish would take the time of two appends. A frame of bookkeeping alone would hold them up as well, where the store takes as
long for that: the lease of each message follows its publish. So bookkeeping waits too.

Pure: times come from the caller, in seconds.
"""

from __future__ import annotations

__all__ = ["SLOW_S", "Gathering"]

SLOW_S = 0.5e-3
"""A quicker commit is not worth a wait, as the hand-over between threads takes as long."""
SHARE = 0.25
"""The longest wait, as a share of the time that the last commit took."""


class Gathering:
    """What the last commit says about the next: how many requests to expect, and how long waiting for them is worth it."""

    def __init__(self) -> None:
        self._took_s = 0.0
        self._bookkeeping_took_s = 0.0
        self.is_worth_it = False
        """Whether the store is so slow that the next frame may wait."""
        self._answered = 0
        self._is_joined = False
        """More requests had come by the time of the answers, and wait beside those of the publishers that were answered."""
        self._expected = 0
        self._until_s = 0.0
        """The end of the wait for the next frame; 0: none has begun."""

    def kept(self, took_s: float) -> None:
        """Note how long a frame took that no request waited for.

        A wait that ended with such a frame alone is not begun anew: the publishers that were answered last have not come back in
        it. One of them that comes later is sent at once, and those behind it share the next frame.
        """
        self._bookkeeping_took_s = took_s

    @property
    def holds_bookkeeping(self) -> bool:
        """Whether bookkeeping, which no request waits for, is to wait too."""
        return self._bookkeeping_took_s >= SLOW_S

    def committed(self, took_s: float, answered: int, *, more_came: bool) -> None:
        """Note a commit: how long it took, how many requests it is about to answer, and whether others came meanwhile."""
        self._took_s, self._answered, self._is_joined = took_s, answered, more_came
        self.is_worth_it = took_s >= SLOW_S
        self._until_s = 0.0

    def wait_s(self, waiting: int, now_s: float) -> float:
        """Return how long to wait for more where so many requests (0: none) wait for the next frame; 0: send it now."""
        if not self._until_s:
            self._until_s = now_s + SHARE * self._took_s
            self._expected = self._answered + (waiting if self._is_joined else 0)
        return 0.0 if waiting >= self._expected else max(0.0, self._until_s - now_s)
