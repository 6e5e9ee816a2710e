"""Manual consumers: checkout, lease extension and ack, from one consumer and from ten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job, together
from benchmarks.loads.floors import SYNC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["loads"]

CHECKOUT = "checkout, held"
ACKED = "checkout and ack, one consumer"
EXTENDED = "checkout, extend and ack, one consumer"
CONSUMERS_10 = "checkout and ack, 10 consumers"
BATCH = 5_000
PER_SECOND = 40_000
"""Messages published for each second of work: more than any consumer takes."""


def consumed(folder: Path, seconds: float, *, consumers: int = 1, extend: bool = False, ack: bool = True) -> float:
    """Consume messages published before, for some seconds. Return deliveries a second."""
    with perdure.System(folder) as system:
        for _ in range(0, round(PER_SECOND * seconds), BATCH):
            system.publish_many([job(i) for i in range(BATCH)])

        def consume(_: int) -> int:
            delivery = system.checkout(Job, lease=60.0)
            if delivery is None:
                msg = "the consumers took all messages before their time was over; publish more"
                raise RuntimeError(msg)
            if extend:
                delivery.extend(120.0)
            if ack:
                delivery.ack()
            return 1

        return together(consumers, seconds, consume)


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    seconds, unit = effort.seconds, "deliveries/s"
    return [
        Load(CHECKOUT, (Measure(CHECKOUT, unit, SYNC),), lambda folder: consumed(folder, seconds, ack=False)),
        Load(ACKED, (Measure(ACKED, unit, SYNC),), lambda folder: consumed(folder, seconds)),
        Load(EXTENDED, (Measure(EXTENDED, unit, SYNC),), lambda folder: consumed(folder, seconds, extend=True)),
        Load(CONSUMERS_10, (Measure(CONSUMERS_10, unit, SYNC),), lambda folder: consumed(folder, seconds, consumers=10)),
    ]
