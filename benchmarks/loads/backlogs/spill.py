"""A backlog whose payloads do not fit into memory: its memory, and how fast it drains compared with one that fits."""

from __future__ import annotations

import gc
import random
import time
from typing import TYPE_CHECKING

import attrs

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Load
from benchmarks.loads.floors import HAND_OFF
from benchmarks.loads.storage import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["DRAIN_MEMORY", "DRAIN_SPILLED", "MEMORY", "loads"]

MEMORY = "memory a waiting message of 1 kB, payloads on disk"
DRAIN_SPILLED = "drain messages of 1 kB, payloads on disk"
DRAIN_MEMORY = "drain messages of 1 kB, payloads in memory"
BODY_BYTES = 1_000
BATCH = 500
RESIDENT_A_MESSAGE = 20
"""Bytes of payload that stay in memory for each message: one payload in fifty, at any size of the backlog."""
DRAIN_S = 1_500.0


@perdure.message(name="benchmark.Document")
@attrs.frozen
class Document:
    """A message of 1 kB that does not compress."""

    body: bytes


def drained(folder: Path, count: int, resident_max: int) -> tuple[float, float]:
    """Let messages wait, and drain them. Return the bytes of memory a waiting message with its payload, and messages a second."""
    rng = random.Random(1)
    documents = [Document(rng.randbytes(BODY_BYTES)) for _ in range(BATCH)]
    options = perdure.Options(backlog_max=count + BATCH, backlog_bytes=16 << 30, resident_payload_bytes=resident_max)
    system = perdure.System(folder, options=options)

    @system.handler(Document)
    def handle(_document: Document, _ctx: perdure.Context) -> None:
        pass

    with system:
        system.admin.pause()
        gc.collect()
        before = resident_bytes()
        for _ in range(0, count, BATCH):
            system.publish_many(documents)
        gc.collect()
        grown = resident_bytes() - before
        waiting = system.admin.metrics().ready
        began = time.perf_counter()
        system.admin.resume()
        system.drain(DRAIN_S)
        took_s = time.perf_counter() - began
    if waiting != count:
        msg = f"{count} messages should have waited, not {waiting}"
        raise RuntimeError(msg)
    return grown / count, count / took_s


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    count = effort.spilled
    unit = "messages/s"
    return [
        Load(
            "spilled",
            (Measure(MEMORY, "B"), Measure(DRAIN_SPILLED, unit, HAND_OFF)),
            lambda folder: drained(folder, count, RESIDENT_A_MESSAGE * count),
        ),
        Load(
            "resident",
            (Measure("memory a waiting message of 1 kB, payloads in memory", "B"), Measure(DRAIN_MEMORY, unit, HAND_OFF)),
            # A size that fits into memory: the rate does not depend on the size, see `growth`.
            lambda folder: drained(folder, min(count, 200_000), 16 << 30),
        ),
    ]
