"""A folder with many messages that wait (plain, with keys, in groups, delayed), and a tenth as many dead letters of five causes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

import perdure
from benchmarks.load import job

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DEAD_PART", "make"]

DEAD_PART = 10
STEP = 10_000
KEYED = 5
"""One batch in so many has keys."""
GROUPS, IN_GROUP = 20, 50
DELAYED = 50
DRAIN_S = 1_800.0
CAUSES = ("a negative amount", "the bank does not answer", "no such customer", "the depot is closed", "no answer within 30 s")


@perdure.message(name="benchmark.Refund")
@attrs.frozen
class Refund:
    order: str
    cause: str


@perdure.message(name="benchmark.Parcel")
@attrs.frozen
class Parcel:
    name: str


def make(folder: Path, waiting: int) -> None:
    """Make the folder, and stop in good order."""
    quiet = perdure.Options(
        log_failures=None, log_dead_letters=None, backlog_max=2 * waiting + STEP, dead_letters_max=waiting // DEAD_PART + STEP
    )
    system = perdure.System(folder, options=quiet)

    @system.batch_handler(Refund, retries=0)
    def refund(batch: perdure.Batch[Refund]) -> None:
        first = batch.messages[0]
        raise ValueError(f"{first.cause}: {first.order}")

    with system:
        dead = waiting // DEAD_PART
        for i in range(0, dead, 100):
            system.publish_many([Refund(f"ORD-{j}", CAUSES[i // 100 % len(CAUSES)]) for j in range(i, min(i + 100, dead))])
        for i in range(DELAYED):
            system.publish(Parcel(f"later {i}"), delay=3_600.0 + i)
        for i in range(GROUPS):
            system.publish_many([Parcel(f"{i}-{j}") for j in range(IN_GROUP)], group=f"depot {i}")
        for i in range(0, waiting, STEP):
            numbers = range(i, min(i + STEP, waiting))
            keys = [f"ORD-{j}" for j in numbers] if i // STEP % KEYED == 0 else None
            system.publish_many([job(j) for j in numbers], keys=keys)
        deadline = time.monotonic() + DRAIN_S
        while system.admin.metrics().dead_letters < dead:
            if time.monotonic() > deadline:
                raise TimeoutError("the dead letters did not come")
            time.sleep(0.05)
