"""A handler's options in one partition of many: which are divided, and which hold for each partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.actors.workers.handler_spec import HandlerSpec

__all__ = ["adapted"]


def adapted(spec: HandlerSpec, partitions: int) -> HandlerSpec:
    """Return a handler as each partition of a queue has it.

    A rate is divided by the number of partitions, so that the whole queue does not exceed it. A limit is divided and rounded
    up, so a limit below the number of partitions can be exceeded. `parallelism` stays; a gate holds the process to it.
    """
    limit = None if spec.limit is None else -(-spec.limit // partitions)
    return attrs.evolve(spec, limit=limit, rate_per_s=spec.rate_per_s / partitions)
