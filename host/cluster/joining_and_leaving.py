"""How a process joins a cluster and leaves it: hooks, its share of the partitions, and a stop in good order.

What a cluster is made of is in `cluster`. Which partitions run in this process is decided in `owning/keeper`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import threading
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
from perdure.events.errors import PerdureError, StoreLocked, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.events.seconds import checked_seconds
from perdure.handling.including import Including
from perdure.runtime.process import serving
from perdure.runtime.process.starting_apart import completed, started_apart
from perdure.runtime.process.step_thread import StepThread
from perdure.store.postgres.nodes import NodeSession
from perdure.store.postgres.postgres_store import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from perdure.options import Options

__all__ = ["JoiningAndLeaving"]

logger = GuardedLogger("perdure")

START_S = 60.0
LOOK_S = 0.05
STOP_S = 30.0
"""Beyond the grace period: how long a stop waits for its partitions to be closed."""


class _Joining:
    """One start."""

    def __init__(self) -> None:
        self.given_up = threading.Event()
        """No caller waits for it any more: it then ends."""
        self.refused = False
        """It has raised, and left nothing behind."""


class JoiningAndLeaving(Singular, Including):
    """The part of a `Cluster` that starts and stops it. Safe in any thread."""

    count: int
    options: Options
    _lifecycle: threading.Lock
    _keeper: Keeper | None
    _pid: int
    _closing: bool
    _joining: _Joining | None = None
    """The start that joined it; None where it has not joined."""

    @property
    def running(self) -> bool:
        """Whether it takes messages."""
        return self._has_started and not self._closing and self._pid == os.getpid()

    def start(self) -> None:
        """Join the cluster; return when this process's share of what is free runs here.

        If this raises, KeyboardInterrupt included, nothing of it runs in this process.

        Raises:
            PerdureError: it runs already; or the queue has another number of partitions; the error says what is on record.
            StoreUnavailable: the database cannot be reached, or the tables cannot be created.
            Others as `System.start`.
        """
        if self._hooks:
            check_off_loop(self._blueprint.host_loop)
        joining = _Joining()
        try:
            self._apart(lambda: self._start(joining), "start")
        except BaseException:
            joining.given_up.set()
            if not joining.refused:  # an exception interrupted the wait: leave what was joined meanwhile
                self._apart(lambda: self._stop(0.0, joining), "stop")
            raise

    def _apart(self, step: Callable[[], None], name: str) -> None:
        step_thread = StepThread(Threads(), step, name)
        step_thread.begin()
        step_thread.wait()

    def _start(self, joining: _Joining) -> None:
        with self._lifecycle:
            if joining.given_up.is_set():
                return
            try:
                self._join(joining)
            except BaseException:
                joining.refused = True
                raise

    def _join(self, joining: _Joining) -> None:
        if self._has_started:
            raise PerdureError("the cluster is running already in this process; use it, or stop it first")
        self._pid, self._closing = os.getpid(), False
        node = self._blueprint.node = f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        where = f"{socket.gethostname()} process {os.getpid()}"
        session = NodeSession(self._database, self.name, node, where, self._blueprint.leases)
        try:
            self._check(session)
        except BaseException:
            session.close()
            raise
        self._has_started, self._joining = True, joining
        if self._owns:
            self._own(session, joining)
        else:
            session.close()
        atexit.register(self.stop)

    def _check(self, session: NodeSession) -> None:
        check_fits(self.name, self.count, *session.found(self.count, ROUTING))
        if self._owns:
            session.check_own_session()
        if standbys := session.unsafe_standbys():
            logger.error(UNSAFE, self, standbys)
        self._registered.check_processes()
        self._registered.warn_of_unused()

    def _own(self, session: NodeSession, joining: _Joining) -> None:
        try:
            self._begin_hooks(self._blueprint.host_loop, joining.given_up.is_set)
            self._keeper = keeper = Keeper(session, self._hosting, self.count)
            keeper.start()
            self._wait_until_at_work(keeper, joining)
        except BaseException:
            self._end(0.0)
            raise

    def _wait_until_at_work(self, keeper: Keeper, joining: _Joining) -> None:
        until_s = time.monotonic() + START_S
        while not keeper.wait_for_plan(LOOK_S) and time.monotonic() < until_s:
            if joining.given_up.is_set():
                return  # the thread that gave it up leaves what was joined
        if not keeper.wait_for_plan(0.0):
            raise keeper.failure or StoreUnavailable(f"the database did not answer within {START_S:g} s")
        self._hosting.settle(START_S)
        for number, error in sorted(self._hosting.failures.items()):
            if not isinstance(error, StoreLocked | StoreUnavailable):
                error.add_note(f"in partition {number}")
                raise error

    def stop(self, grace: float | None = None) -> None:
        """Leave in good order, and return when all partitions of this process are free; as `System.stop`.

        In a handler this only begins to stop and returns at once.
        KeyboardInterrupt ends the grace period, and is raised once the partitions are free.
        """
        stopping: StepThread | None = None
        try:
            grace_s = self.options.grace_s if grace is None else checked_seconds("grace", grace)
            if (not self._has_started and not self._lifecycle.locked()) or self._pid != os.getpid():
                return
            stopping = StepThread(Threads(), lambda: self._stop(grace_s), "stop")
            stopping.begin()
            if stopping.lacks_thread or CALLER.get() is None:
                stopping.wait()
        except Exception:
            raise
        except BaseException:
            self._hosting.end_grace()
            stopping = stopping or StepThread(Threads(), lambda: self._stop(0.0), "stop")
            stopping.begin()
            stopping.wait()
            raise

    def _stop(self, grace_s: float, only: _Joining | None = None) -> None:
        """Leave what was joined; with `only`, only if it was joined by that start."""
        with self._lifecycle:
            if self._has_started and only in (None, self._joining):
                self._end(grace_s)

    def _end(self, grace_s: float) -> None:
        keeper = self._keeper
        self._closing = True
        atexit.unregister(self.stop)
        try:
            if keeper is not None:
                keeper.leave(1.0)
            until_s = time.monotonic() + grace_s
            self._hosting.close_all(grace_s, grace_s + STOP_S)
            self._end_hooks(until_s - time.monotonic())
            self._access.close(1.0)
            self._spread.close()
        finally:
            if keeper is not None:
                keeper.end(STOP_S)
            self._keeper, self._joining, self._has_started = None, None, False

    def serve(self, *, grace: float | None = None, started: Callable[[], object] | None = None) -> None:
        """Run until SIGTERM or SIGINT, then leave in good order; as `System.serve`."""
        serving.serve(self, serving.Life(lambda: self._has_started, lambda: None), grace, started)

    def __enter__(self) -> Self:
        """Start; see `start`."""
        before = self._joining
        try:
            self.start()
            return self  # noqa: TRY300 - an interrupt after the start, before the block begins, must not leave it running
        except BaseException:
            if self._joining is not before:
                self.stop(0.0)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; see `stop`."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start without blocking the event loop. Coroutine handlers run on this loop, unless the cluster was given another."""
        if self._blueprint.loop is None:
            self._blueprint.loop = asyncio.get_running_loop()
        await started_apart(self.start, lambda: self.stop(0.0))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop without blocking the event loop; see `stop`."""
        await completed(self.stop, self._hosting.end_grace)

    def _changed(self) -> None:
        keeper = self._keeper
        if keeper is not None:
            keeper.wake()
