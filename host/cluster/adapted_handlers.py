"""What becomes of a handler's options in one partition of many: what is divided, and what holds for each partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.actors.workers.handler_spec import HandlerSpec

__all__ = ["adapted"]


def adapted(spec: HandlerSpec, partitions: int) -> HandlerSpec:
    """Return a handler as each partition of a queue has it.

    A rate is divided by the number of partitions, so that the whole queue keeps to it. A limit is divided and rounded up:
    one smaller than the number of partitions cannot be kept. `parallelism` stays; a gate keeps the process to it.
    """
    limit = None if spec.limit is None else -(-spec.limit // partitions)
    return attrs.evolve(spec, limit=limit, rate_per_s=spec.rate_per_s / partitions)
