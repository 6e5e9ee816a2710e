"""All runs of this process: which System runs on which store, and the stop of those that the host did not stop.

A System that was garbage collected, or that runs when the interpreter exits, is stopped here. A forked child has no run.

Not here: the steps of a stop (`engine`).
"""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import sys
import threading
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from perdure.events.errors import NotRunning
from perdure.events.loggers import GuardedLogger
from perdure.store import canonical_address
from perdure.store.disk.each_alone import FORKED, call_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.runtime import run as runs
    from perdure.store import EventStore

__all__ = ["Run", "address_of", "live", "remember_run", "remember_system", "wait_until_stopped", "why_forked"]

logger = GuardedLogger("perdure")

STOP_WAIT_S = 10.0
"""How long a start waits for another run of this process on its store that is being stopped, beyond that run's grace period."""
LOOK_S = 0.1
"""How often a thread that waits for a stop looks whether the one that makes it still lives."""


class Forked(Protocol):
    """What is called of a System after a fork."""

    @property
    def forked(self) -> Callable[[int], None]:
        """Makes it forget its run: this process was forked from the one of this id, and has none of its threads."""


class Owner(Protocol):
    """What this module needs of a System."""

    @property
    def inner(self) -> Forked:
        """What it offers the other rooms."""


class Run:
    """One run, from before its first thread starts until its store is closed."""

    def __init__(
        self,
        system: Owner,
        engine: runs.Run,
        address: str | None,
        grace_s: float,
        end_roles: Callable[[], None] = lambda: None,
    ) -> None:
        self.system = weakref.ref(system)
        self.engine = engine
        """What runs now; a shared System's changes with its role, until `end_roles` was called."""
        self._end_roles = end_roles
        self.address = address
        self.grace_s = grace_s
        self.is_ending = False
        self.ended = threading.Event()
        self._claim: dict[int, object] = {}
        self._ender = threading.current_thread()
        """The thread that makes the end, once it has begun."""
        self._dropped = weakref.finalize(system, _dropped, self)
        self._dropped.atexit = False

    def end(self, grace_s: float, why: NotRunning) -> None:
        """Stop the run and close its store. The first call does it; other calls wait for its end."""
        mark = object()
        self.is_ending = True
        if self._claim.setdefault(0, mark) is not mark:
            while not self.ended.wait(LOOK_S) and self._ender.is_alive():
                pass
            return
        self._ender = threading.current_thread()
        try:
            self._end_roles()
            self.engine.stop(grace_s, why)
        finally:
            self.leave()

    @property
    def has_threads(self) -> bool:
        """Whether there is anything to stop: a simulated run has no thread, and its disk is memory."""
        return self.engine.runtime.executor.has_threads

    def keep_when_dropped(self) -> None:
        """Do nothing when the System is garbage collected."""
        self._dropped.detach()

    def leave(self) -> None:
        """Remove the run from the list of this process, and wake all that wait for its end."""
        self.keep_when_dropped()
        if self in _runs:
            _runs.remove(self)
        self.ended.set()


_runs: list[Run] = []
_systems: weakref.WeakSet[Owner] = weakref.WeakSet()
"""All systems of this process, running or not, for a forked child."""


def address_of(store: EventStore) -> str | None:
    """Return the address that all stores of one log share in this process; None for a log that only its store object can reach."""
    return None if store.address is None else canonical_address(store.address)


def remember_system(system: Owner) -> None:
    """Add a System to those of this process."""
    _systems.add(system)


def remember_run(run: Run) -> None:
    """Add a run to those of this process."""
    _runs.append(run)


def forget(executor: object) -> None:
    """Remove the runs of a simulated process that died: they have no threads, and must not be stopped."""
    for run in [*_runs]:
        if run.engine.runtime.executor is executor:
            run.leave()


def live(address: str) -> Any:
    """Return the System of this process that runs on the store with this address; None where there is none."""
    found = (run.system() for run in [*_runs] if run.address == address and not run.is_ending)
    return next((system for system in found if system is not None), None)


def is_ending(address: str | None, system: Owner) -> bool:
    """Return whether a run of a system, or another run on the same store, is being stopped."""
    return any(run.is_ending for run in [*_runs] if run.system() is system or (address is not None and run.address == address))


def wait_until_stopped(address: str | None) -> None:
    """Wait for the runs on a store that are being stopped, also those whose System was dropped."""
    if any(run.address == address for run in [*_runs]):
        gc.collect()  # a System is in a reference cycle: one that was dropped may not be collected yet
    until_s = time.monotonic() + STOP_WAIT_S
    for run in [*_runs]:
        if run.address == address and run.is_ending:
            run.ended.wait(max(0.0, until_s + run.grace_s - time.monotonic()))


# --- dropped without a stop ----------------------------------------------------------------------------------------------------


def _dropped(run: Run) -> None:
    """Start to stop a run whose System was collected. The garbage collector calls it in any thread, so another thread does it."""
    if sys.is_finalizing() or run.is_ending:
        return
    if not run.has_threads:
        run.leave()
        return
    run.is_ending = True
    _thread.start_new_thread(_end, (run, "its System was dropped without `stop()`"))
    msg = (
        f"the System in {run.address or 'memory'} was dropped without `stop()`; it is being stopped. Use `with system:`, or call "
        "`stop()`, and keep a reference to it for as long as it is to run."
    )
    warnings.warn(msg, ResourceWarning, stacklevel=2)


def _end(run: Run, why: str) -> None:
    try:
        logger.warning("the system in %s is stopped: %s", run.address or "memory", why)
        run.end(run.grace_s, NotRunning(f"the system takes no messages: {why}"))
    except Exception:
        logger.exception("the system in %s could not be stopped in order; the next start recovers it", run.address or "memory")


@atexit.register
def _at_exit() -> None:
    """Stop all runs when the interpreter exits, so that handlers get their grace period and no attempt counts as lost."""
    call_each([*_runs], _end_at_exit, "the interpreter exits")


def _end_at_exit(run: Run) -> None:
    if run.has_threads:
        _end(run, "the interpreter exits, and `stop()` was not called")


# --- fork ----------------------------------------------------------------------------------------------------------------------


def _in_a_forked_child() -> None:
    """Make each System forget its run: a fork copies no threads. One that fails at it keeps no other from it."""
    runs, _runs[:] = [*_runs], []
    parent = os.getppid()
    for run in runs:
        run.keep_when_dropped()
    call_each(runs, lambda run: run.engine.discard_after_fork(forked(parent)), FORKED)
    call_each(list(_systems), lambda system: system.inner.forked(parent), FORKED)


def forked(parent: int) -> NotRunning:
    """Return the error for a call in a forked child to a run of its parent."""
    return NotRunning(f"the system takes no messages: {why_forked(parent)}")


def why_forked(parent: int) -> str:
    """Return why a System does not run in a forked child, and what to do."""
    return (
        f"this process was forked from process {parent}, which runs it, and a fork takes no threads along. Publish in process "
        f"{parent}; or publish and ask here by `perdure.connect(folder)`, if the System there is `shared=True`; or start a System "
        "after the fork (in gunicorn's or uwsgi's post-fork hook), in a folder that no other process has; or let the children "
        "write into an `Outbox` that the owner relays. To only read the folder here, use perdure.Audit."
    )


os.register_at_fork(after_in_child=_in_a_forked_child)
