"""Which workers wait for the result of which message type: a wait that no worker is left to end is refused at once.

Only waits of handlers are here; requests that wait for a result are in `actors/requests/result_waiters.py`.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from perdure.actors.execution.invocation import CALLER
from perdure.events.errors import WouldDeadlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perdure.actors.workers.pools.pool import Pool

__all__ = ["Waits"]


class Waits:
    """The waits of the handlers of one system, or of all systems of a process that share workers. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[object, tuple[tuple[int, str], str, str]] = {}
        """(worker, its type, the type it waits for), by a mark of its own."""

    @contextlib.contextmanager
    def wait(self, pools: Mapping[str, Pool], wanted: str) -> Iterator[None]:
        """Wait for a message of type `wanted` within this block.

        Raises:
            WouldDeadlock: a handler waits, and all workers that could handle it wait for one another, this one included.
        """
        caller = CALLER.get()
        if caller is None or (pool := pools.get(caller.pool.type)) is not caller.pool:
            yield
            return
        own = pool.type
        mark = object()
        with self._lock:
            self._waits[mark] = ((id(pool), caller.name), own, wanted)
            if wanted not in _types_with_progress(list(self._waits.values()), pools):
                del self._waits[mark]
                raise WouldDeadlock(_deadlock_message(pool, wanted))
        try:
            yield
        finally:
            del self._waits[mark]


def _types_with_progress(waits: list[tuple[tuple[int, str], str, str]], pools: Mapping[str, Pool]) -> set[str]:
    """Return the types of which some message can still be handled: a worker is free, or waits for a type that can."""
    waiting: dict[str, set[tuple[int, str]]] = {}
    for worker, own, _ in waits:
        waiting.setdefault(own, set()).add(worker)
    able = {wanted for _, _, wanted in waits if wanted not in pools}  # a consumer may take it by hand
    able |= {name for name, pool in list(pools.items()) if len(waiting.get(name, ())) < _workers(pool)}
    more = True
    while more:
        found = {own for _, own, wanted in waits if wanted in able} - able
        able |= found
        more = bool(found)
    return able


def _workers(pool: Pool) -> int:
    return max(pool.target, pool.handler.parallelism_max)


def _deadlock_message(own: Pool, wanted: str) -> str:
    round_about = "of its own type" if wanted == own.type else "whose handlers wait for this one's"
    return (
        f"the handler of {own.type} waits for the result of a {wanted}, {round_about}, and no worker is left to handle it: "
        f"{own.type} has {_workers(own)}. Publish it without waiting (`ctx.publish`), or give the handler more parallelism."
    )
