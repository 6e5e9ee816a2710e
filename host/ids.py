"""Message ids: UUID version 7 (RFC 9562), so that they sort by time, made from the system's clock and chance.

Layout: 48 bits of milliseconds, version, 12 bits fixed for the run, variant, 14 bits fixed for the run, and a 48-bit counter
that starts anywhere and only goes up (the RFC's method 1, with the counter in rand_b), so ids of one millisecond sort too.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from perdure.actors.clock import Clock

__all__ = ["id_maker"]


def id_maker(clock: Clock, chance: random.Random) -> Callable[[], str]:
    """Give a function that makes a new id at each call; safe in any thread."""
    # The counter's top bit starts at 0, so that a run would have to make 2**47 ids before it wraps.
    counter = itertools.count(chance.getrandbits(47))
    run = f"7{chance.getrandbits(12):03x}-{0x8000 | chance.getrandbits(14):04x}"
    now_us = clock.now_us

    def make() -> str:
        ms = f"{now_us() // 1000:012x}"
        return f"{ms[:8]}-{ms[8:]}-{run}-{next(counter):012x}"

    return make
