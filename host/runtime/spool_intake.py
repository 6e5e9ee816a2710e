"""Taking in what processes spooled while nothing owned the folder: when a run starts, and while it lasts.

How rows are read and removed is in `perdure.runtime.spool_source`, how they are published in the relay beside it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from perdure.actors.core.clock import ahead_us, is_machines
from perdure.actors.core.messages import Wake
from perdure.actors.services.relay import relay_now
from perdure.events.errors import StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.runtime.database.ingress_source import IngressSource
from perdure.runtime.spool_source import SpoolSource
from perdure.store.other_processes import HasIngress
from perdure.store.spool.spool_file import HasSpoolFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.services.runtime import Runtime
    from perdure.events.commands import Draft
    from perdure.runtime.database.ingress_source import Permit
    from perdure.store import EventStore

__all__ = ["SpoolIntake"]

logger = GuardedLogger("perdure")

WAIT_S = 60.0
"""How long a start waits for the queue to take in one row."""


class SpoolIntake:
    """The spool of one run. A store that has no folder has none."""

    def __init__(
        self, store: EventStore, runtime: Runtime, under_policy: Callable[[Draft], Draft], permit: Permit | None = None
    ) -> None:
        self._runtime = runtime
        ahead = partial(ahead_us, runtime.clock)
        self.source: SpoolSource | IngressSource | None = None
        self.goes_on = isinstance(store, HasIngress)
        """Others publish there also while this run lasts."""
        if isinstance(store, HasSpoolFolder):
            self.source = SpoolSource(store.path, store.disk, under_policy, runtime.health, ahead)
        elif isinstance(store, HasIngress):
            ingress = store.ingress()
            ingress.watch(self.hurry)
            wall_us = runtime.clock.wall_us if is_machines(runtime.clock) else None
            self.source = IngressSource(ingress, under_policy, runtime.health, permit, ahead, wall_us)

    def hurry(self) -> None:
        """Have the relay look now. In any thread."""
        self._runtime.directory.tell("relay", Wake())

    def is_waiting(self) -> bool:
        """Return whether something is spooled: no handler starts before it is taken in."""
        try:
            return self.source is not None and bool(self.source.read(0))
        except (OSError, StoreUnavailable) as error:
            logger.error("the spool cannot be read, and is left for later: %s", error)  # noqa: TRY400 - the error says it all
            return False

    def take_in(self) -> bool:
        """Send the queue what is spooled; return whether something is left for the relay.

        Raises:
            NotRunning: the run has ended.
        """
        source = self.source
        if source is None:
            return False
        try:
            count = relay_now(source, self._runtime.pending, self._runtime.executor.answer, WAIT_S)
            if count:
                logger.info("%d publishes that were spooled while nothing owned the folder are taken in", count)
            return bool(source.read(0))
        except (OSError, StoreUnavailable) as error:
            logger.error("the spool cannot be read, and is left for later: %s", error)  # noqa: TRY400 - as above
            return True

    def close(self) -> None:
        """Give back the files that were not taken in whole."""
        if self.source is not None:
            self.source.close()
