"""How a process joins a cluster and leaves it: hooks, its share of the partitions, and a stop in good order.

The parts of a cluster are in `cluster`. `owning/keeper` decides which partitions run in this process.
"""

from __future__ import annotations

import atexit
import os
import random
import socket
import time
import uuid
from typing import TYPE_CHECKING

from perdure.actors.core.executor import Threads
from perdure.actors.execution.invocation import CALLER
from perdure.cluster.on_record import check_fits
from perdure.cluster.owning.keeper import Keeper
from perdure.cluster.routing import ROUTING
from perdure.cluster.single.process_hooks import check_off_loop
from perdure.cluster.single.singular import Singular
from perdure.events.errors import StoreLocked, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.handling.including import Including
from perdure.runtime.process import serving
from perdure.runtime.process.lifecycle_steps import LifecycleSteps, Start, Startable
from perdure.runtime.process.starting_apart import completed
from perdure.store.disk.polling import check_poll
from perdure.store.postgres.nodes import NodeSession
from perdure.store.postgres.postgres_store import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from perdure.events.errors import NotRunning
    from perdure.options import Options

__all__ = ["JoiningAndLeaving"]

logger = GuardedLogger("perdure")

START_S = 60.0
LOOK_S = 0.05
STOP_S = 30.0
"""Beyond the grace period: how long a stop waits for its partitions to be closed, and for its thread to end."""
KEEPER_S = 2.0


def _is_in_a_handler() -> bool:
    return CALLER.get() is not None


class JoiningAndLeaving(Singular, Including, Startable):
    """The part of a `Cluster` that starts and stops it. Safe in any thread."""

    count: int
    options: Options
    _keeper: Keeper | None
    _closing: bool
    _forked_from: int | None = None
    """The process that ran it when this one was forked; None where this one may run it."""

    def _not_running(self) -> NotRunning:
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether the cluster takes messages."""
        return self._has_started and not self._closing and self._forked_from is None

    def start(self) -> None:
        """Join the cluster; return when this process runs its share of the free partitions.

        If this raises, also KeyboardInterrupt, nothing of the cluster runs in this process.

        Raises:
            NotRunning: this process was forked from the one that runs the cluster.
            PerdureError: it runs already, or the queue has another number of partitions; the error names the one on record.
            StoreUnavailable: the database cannot be reached, or the tables cannot be created.
            Others as `System.start`.
        """
        self._start_as(Start())

    def _start_as(self, start: Start) -> None:
        if self._forked_from is not None:
            raise self._not_running()
        if self._hooks:
            check_off_loop(self._blueprint.host_loop)
        self._lifecycle.start(start)

    def _lifecycle_steps(self) -> LifecycleSteps:
        return LifecycleSteps("cluster", Threads(), self._join, self._end, self._hosting.end_grace)

    def _join(self, start: Start) -> None:
        check_poll("a Cluster")
        self._closing = False
        node = self._blueprint.node = f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._blueprint.logs.clear()
        where = f"{socket.gethostname()} process {os.getpid()}"
        session = NodeSession(self._database, self.name, node, where, self._blueprint.leases)
        try:
            self._check(session)
        except BaseException:
            session.close()
            raise
        self._has_started = True
        if self._owns:
            self._own(session, start)
        else:
            session.close()
        atexit.register(self.stop)

    def _check(self, session: NodeSession) -> None:
        check_fits(self.name, self.count, *session.register_queue(self.count, ROUTING, owns=self._owns))
        if self._owns:
            session.check_own_session()
        if standbys := session.unsafe_standbys():
            logger.error(UNSAFE, self, standbys)
        self._registered.check_processes()
        self._registered.warn_of_unused()

    def _own(self, session: NodeSession, start: Start) -> None:
        self._blueprint.entered_on = start.loop
        try:
            self._begin_hooks(self._blueprint.host_loop, lambda: start.given_up)
            self._keeper = keeper = Keeper(session, self._hosting, self.count)
            keeper.start()
            self._wait_until_at_work(keeper, start)
        except BaseException:
            self._end(0.0)
            raise

    def _wait_until_at_work(self, keeper: Keeper, start: Start) -> None:
        until_s = time.monotonic() + START_S
        while not keeper.wait_for_plan(LOOK_S) and time.monotonic() < until_s:
            if start.given_up:
                return
        if not keeper.wait_for_plan(0.0):
            raise keeper.failure or StoreUnavailable(f"the database did not answer within {START_S:g} s")
        self._hosting.settle(START_S)
        for number, error in sorted(self._hosting.failures.items()):
            if not isinstance(error, StoreLocked | StoreUnavailable):
                error.add_note(f"in partition {number}")
                raise error

    def stop(self, grace: float | None = None) -> None:
        """Leave the cluster, and return when all partitions of this process are free; as `System.stop`.

        In a handler, begin to stop and return at once.
        A KeyboardInterrupt ends the grace period and is raised once the partitions are free.
        """
        self._lifecycle.stop(grace, self.options.grace_s, _is_in_a_handler)

    def _stop_start(self, start: Start) -> None:
        self._lifecycle.stop(0.0, 0.0, _is_in_a_handler, start)

    def _end(self, grace_s: float) -> None:
        keeper = self._keeper
        until_s = time.monotonic() + grace_s
        self._closing = True
        atexit.unregister(self.stop)
        try:
            if keeper is not None:
                keeper.leave(1.0)
            self._hosting.close_all(grace_s, grace_s + STOP_S)
            self._end_hooks(until_s - time.monotonic())
            self._access.close(1.0)
            self._spread.close()
        finally:
            if keeper is not None:
                keeper.end(max(KEEPER_S, until_s + STOP_S - time.monotonic()))
            self._keeper, self._has_started = None, False
            self._blueprint.entered_on = None

    def serve(self, *, grace: float | None = None, started: Callable[[], object] | None = None) -> None:
        """Run until SIGTERM or SIGINT, then stop; as `System.serve`."""
        serving.serve(
            self, serving.Life(lambda: self._has_started, lambda: None, self._begin_served, self._enter_apart), grace, started
        )

    async def __aenter__(self) -> Self:
        """Start without blocking the event loop. Coroutine handlers run on this loop, unless `loop` names another."""
        await self._enter_apart()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop without blocking the event loop; see `stop`."""
        await completed(self.stop, self._hosting.end_grace)

    def _in_a_forked_child(self, parent: int) -> None:
        """Record, in a forked child, that the threads stayed in the parent. For `live_systems`.

        A cluster that owns no partitions has no threads and goes on; its clients connect anew.
        """
        rng = random.SystemRandom()
        for ids in self._blueprint.ids:
            ids.begin_anew(rng)
        start, self._lifecycle = (
            self._lifecycle.current,
            self._lifecycle_steps(),
        )  # the parent may have been in the middle of a step
        if self.running and not self._owns:
            self._lifecycle.current = start
        elif start is not None:
            self._forked_from = parent

    def _changed(self) -> None:
        keeper = self._keeper
        if keeper is not None:
            keeper.wake()
