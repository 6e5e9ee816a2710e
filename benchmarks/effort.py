"""How much work a run does: seconds, rounds and sizes. The work itself is in the loads."""

from __future__ import annotations

import attrs

__all__ = ["EFFORTS", "ORDINARY", "Effort"]


@attrs.frozen(kw_only=True)
class Effort:
    """The amount of work: quick to see that it works, ordinary to quote, full for the largest logs."""

    seconds: float
    """How long a load runs that has no size."""
    peer_seconds: float
    """The same for peers, whose start takes longer than a run."""
    rounds: int
    idle_samples: int
    backlogs: tuple[int, ...]
    """Sizes of the backlog, in messages waiting, smallest first."""
    logs: tuple[int, ...]
    """Lengths of the log, in events, smallest first."""
    footprint: int
    """Messages whose bytes in memory and on disk are counted."""
    cpu_calls: int
    takeovers: int
    """Owners that are killed."""
    spilled: int
    """Waiting messages of 1 kB, nearly all of their payloads on disk."""


ORDINARY = Effort(
    seconds=1.5,
    peer_seconds=3.0,
    rounds=3,
    idle_samples=1_500,
    backlogs=(1_000, 10_000, 100_000, 1_000_000),
    logs=(10_000, 100_000, 1_000_000),
    footprint=200_000,
    cpu_calls=400,
    takeovers=17,
    spilled=200_000,
)
EFFORTS = {
    "quick": Effort(
        seconds=0.2,
        peer_seconds=0.3,
        rounds=1,
        idle_samples=50,
        backlogs=(1_000, 3_000),
        logs=(3_000,),
        footprint=2_000,
        cpu_calls=20,
        takeovers=1,
        spilled=2_000,
    ),
    "ordinary": ORDINARY,
    "full": attrs.evolve(
        ORDINARY, rounds=5, seconds=3.0, idle_samples=5_000, logs=(*ORDINARY.logs, 10_000_000), spilled=10_000_000
    ),
}
