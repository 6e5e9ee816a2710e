"""Message ids: UUID version 7 (RFC 9562), so that they sort by time, made from the system's clock and random generator.

Layout: 48 bits of milliseconds, version, 12 bits fixed for the run, variant, 14 bits fixed for the run, and a 48-bit counter
that starts anywhere and only goes up (the RFC's method 1, with the counter in rand_b), so ids of one millisecond sort too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.structures.id_index import IdRun
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    import random

    from perdure.actors.core.clock import Clock

__all__ = ["Ids", "made_us"]


def made_us(ident: str) -> int:
    """Return when an id was made, in microseconds since the epoch, precise to the millisecond; 0 for other ids."""
    try:
        return int(ident[:8] + ident[9:13], 16) * 1000 if len(ident) == 36 and ident[14] == "7" else 0  # noqa: PLR2004 - the length of a UUID
    except ValueError:
        return 0


class Ids:
    """Makes ids; safe in any thread."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._now_us = clock.now_us
        self.begin_anew(rng)

    def begin_anew(self, rng: random.Random) -> None:
        """Begin as a new object does; for a forked child, whose ids must differ from those of its parent and siblings."""
        # The counter's top bit starts at 0, so that a run would have to make 2**47 ids before it wraps.
        self._next = rng.getrandbits(47)
        self._lock = lock_of(self, "_lock")
        self._rng = rng.getrandbits(12), rng.getrandbits(14)
        self._origin = ""
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Begin the ids of another run: two runs with one seed, in one millisecond, make no id twice."""
        a, b = self._rng
        self._run = f"7{a:03x}-{0x8000 | (b + epoch) & 0x3FFF:04x}"
        self._made = (-1, "")
        """The last millisecond and its prefix, replaced together, so that no thread sees one without the other."""

    def one(self) -> str:
        """Return another id."""
        with self._lock:
            self._next = counter = self._next + 1
        ms = self._now_us() // 1000
        made_ms, prefix = self._made
        return f"{prefix if ms == made_ms else self._prefix(ms)}{counter:012x}"

    @property
    def origin(self) -> str:
        """What names this process among all that share a folder: an id, made at the first call."""
        if not self._origin:
            made = self.one()
            with self._lock:
                self._origin = self._origin or made
        return self._origin

    def holder(self) -> str:
        """Return the name of one request to check a message out; it begins with the name of this process."""
        with self._lock:
            self._next = counter = self._next + 1
        return f"{self.origin}.{counter:x}"

    def run(self, n: int) -> IdRun:
        """Return `n` ids of one moment, in order."""
        with self._lock:
            counter = self._next + 1
            self._next += n
        return IdRun(self._prefix(self._now_us() // 1000), counter, n)

    def _prefix(self, ms: int) -> str:
        made_ms, prefix = self._made
        if ms != made_ms:
            stamp = f"{ms:012x}"
            prefix = f"{stamp[:8]}-{stamp[8:]}-{self._run}-"
            self._made = (ms, prefix)
        return prefix
