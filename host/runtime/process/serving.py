"""Serving: run a system and its parts, such as outbox relays, until SIGTERM or SIGINT, and then stop them in order.

Not here: the start and the stop of the system itself (`perdure.system`).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from perdure.actors.core.actor import FOREIGN_ERRORS
from perdure.events.errors import NotRunning, PerdureError, StoreLocked
from perdure.events.loggers import GuardedLogger
from perdure.events.seconds import checked_seconds
from perdure.runtime.process.starting_apart import completed
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import FrameType

    from perdure.runtime.run import Run

__all__ = ["Life", "Part", "aserve", "serve"]

logger = GuardedLogger("perdure")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOOK_S = 0.25
"""How often it checks whether the system still runs."""


class Part(Protocol):
    """A part that works for a system while it is served: an `OutboxRelay`, or one of the host's own."""

    def start(self) -> None:
        """Start working. The system runs already."""

    def stop(self) -> None:
        """Stop working. The system still runs."""


class Served(Protocol):
    """What serving needs of a System."""

    @property
    def running(self) -> bool:
        """Whether the system accepts messages."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that belong to the system."""

    def stop(self, grace: float | None = None) -> None:
        """See `System.stop`."""


@attrs.frozen
class Life:
    """What serving has to know of the life of what it serves."""

    has_begun: Callable[[], bool]
    """Returns whether it was started, and not stopped since."""
    run: Callable[[], Run | None]
    """Returns its run in this process, if it has one."""
    begin: Callable[[Callable[[], bool]], None]
    """Starts it. It asks the function that it is given whether to go on waiting for another owner: True, and the start fails."""
    begin_apart: Callable[[Callable[[], bool]], Awaitable[None]]
    """The same, without blocking the event loop."""


class _StopSignals:
    """Signals that ask the system to stop. The first one begins the stop, the second one ends its grace period."""

    def __init__(self, life: Life) -> None:
        self._life = life
        # An Event has a lock, which the thread that the signal interrupts may hold. A SimpleQueue is safe in a signal handler.
        self._queue: SimpleQueue[int] = SimpleQueue()
        self._times = 0

    def have_come(self) -> bool:
        return self._times > 0

    def receive(self, number: int, _frame: FrameType | None = None) -> None:
        self._times += 1
        self._queue.put(number)
        run = self._life.run()
        if self._times > 1 and run is not None:
            run.end_grace()

    def came_within(self, timeout_s: float) -> bool:
        try:
            number = self._queue.get(timeout=timeout_s)
        except Empty:
            return False
        logger.info("stopping: received %s", signal.Signals(number).name)
        return True


def serve(system: Served, life: Life, grace: float | None, started: Callable[[], object] | None) -> None:
    """See `System.serve`."""
    if threading.current_thread() is not threading.main_thread():
        msg = (
            "serve() handles SIGTERM and SIGINT, which only the main thread can do. Call it in the main thread. In another thread "
            "use start() and stop(), or `with system:`, and stop the system from the main thread."
        )
        raise PerdureError(msg)
    _check_grace(grace)
    signals = _StopSignals(life)
    before: dict[int, Any] = {}
    try:
        for number in SIGNALS:
            before[number] = signal.signal(number, signals.receive)
        try:
            if not life.has_begun():
                life.begin(signals.have_come)
        except StoreLocked:
            if not signals.have_come():
                raise
            return  # it stood by for another owner
        run = life.run()
        started_parts: list[Part] = []
        try:
            _start_parts(system, started_parts)
            if started is not None:
                started()
            while system.running and not signals.came_within(LOOK_S):
                pass
        finally:
            _end(system, started_parts, grace)
        _check_not_given_up(run)
    finally:
        for taken, handler in before.items():
            signal.signal(taken, handler)


async def aserve(system: Served, life: Life, grace: float | None, started: Callable[[], object] | None) -> None:
    """See `System.aserve`."""
    _check_grace(grace)
    loop = asyncio.get_running_loop()
    signals = _StopSignals(life)
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        signals.receive(number)
        stop.set()

    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    handled: list[signal.Signals] = []
    try:
        for number in SIGNALS:
            try:
                loop.add_signal_handler(number, on_signal, number)
            except (RuntimeError, ValueError, NotImplementedError) as error:
                msg = (
                    "aserve() handles SIGTERM and SIGINT, which only the event loop of the main thread can do, and not every "
                    "kind of loop. Await it there. Elsewhere use `async with system:`, and leave the block when the application "
                    "ends."
                )
                raise PerdureError(msg) from error
            handled.append(number)
        try:
            if not life.has_begun():
                await life.begin_apart(signals.have_come)
        except StoreLocked:
            if not signals.have_come():
                raise
            return  # it stood by for another owner
        run = life.run()
        started_parts: list[Part] = []
        try:
            await asyncio.to_thread(_start_parts, system, started_parts)
            if started is not None:
                started()
            while system.running and not stop.is_set():
                try:
                    await asyncio.wait_for(stop.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            await completed(lambda: _end(system, started_parts, grace))
        _check_not_given_up(run)
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def _start_parts(system: Served, started_parts: list[Part]) -> None:
    for part in system.parts:
        started_parts.append(part)  # before its start, so that a part which fails half-way is stopped too
        part.start()


def _check_grace(grace: float | None) -> None:
    """Refuse an impossible grace period now, not at the stop that would need it."""
    if grace is not None:
        checked_seconds("grace", grace)


def _end(system: Served, started_parts: list[Part], grace: float | None) -> None:
    _stop_parts(started_parts)
    system.stop(grace)


def _stop_parts(started_parts: list[Part]) -> None:
    """Stop the parts, the last first. One that hangs, for example in a database that does not answer, is left behind."""
    for part in reversed(started_parts):
        thread = BackgroundThread(_stop_part, "perdure-part", part)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had: what follows is to be stopped all the same
            _stop_part(part)
            continue
        thread.join(1.0)
        if thread.is_alive():
            logger.warning("%r did not stop within a second and is left behind", part)


def _stop_part(part: Part) -> None:
    try:
        part.stop()
    except FOREIGN_ERRORS:
        logger.exception("%r could not be stopped", part)


def _check_not_given_up(run: Run | None) -> None:
    """Raise the error with which the system gave up, if it did."""
    failed = None if run is None else run.runtime.health.failed
    if isinstance(failed, NotRunning):
        raise failed
