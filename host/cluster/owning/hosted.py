"""The partitions that this process runs: a System for each, opened and closed in threads of their own.

`keeper` decides when to open and close one, by the rules of `balance`. The front door makes each System.
"""

from __future__ import annotations

import contextlib
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import NotRunning, OwnershipLost, PerdureError, StoreLocked
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.background_thread import BackgroundThread
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.system import System

__all__ = ["Hosting", "State"]

logger = GuardedLogger("perdure")

PAUSE_S, PAUSE_MAX_S = 0.2, 10.0
"""Seconds before another try to open a partition that could not be opened; the pause doubles from the first to the second."""


GONE_S = 1.0
"""The grace period, in seconds, of a partition that has stopped by itself; its handlers' results are no longer accepted."""


class State(Enum):
    """How far this process is with opening or closing a partition."""

    OPENING = "it reads the log"
    OWNED = "its handlers run here"
    CLOSING = "its handlers come to rest"


@attrs.define(eq=False)
class _Hosted:
    number: int
    system: System
    state: State = State.OPENING
    thread: threading.Thread | None = None


class Hosting:
    """The partitions that run in this process. Methods may be called in any thread.

    Args:
        make: returns a System for a partition, with all handlers; its second argument names an owner that has died, or is empty.
        changed: called after a partition was opened or closed, or could not be opened.
        opened: called with a partition that was opened, once this process owns it.
    """

    def __init__(
        self, make: Callable[[int, str], System], changed: Callable[[], None], opened: Callable[[int, System], None]
    ) -> None:
        self._make = make
        self._changed = changed
        self._opened = opened
        self._lock = lock_of(self, "_lock", threading.RLock)
        self._hosted: dict[int, _Hosted] = {}
        self._pauses: dict[int, tuple[float, float]] = {}
        """By partition that could not be opened: when it is tried again (monotonic seconds), and the last pause (seconds)."""
        self.failures: dict[int, BaseException] = {}
        """By partition, why the last try to open it failed."""

    def system(self, number: int) -> System | None:
        """Return the System that runs a partition here and takes messages; None if there is none."""
        hosted = self._hosted.get(number)
        return hosted.system if hosted is not None and hosted.state is State.OWNED and hosted.system.running else None

    def states(self) -> dict[int, State]:
        """Return the partitions that are being opened, run or are being closed here."""
        with self._lock:
            return {number: hosted.state for number, hosted in self._hosted.items()}

    def mine(self) -> list[int]:
        """Return the partitions that run here and are neither being opened nor being closed."""
        return [number for number, state in self.states().items() if state is State.OWNED]

    def systems(self) -> list[System]:
        """Return the Systems that run here."""
        return [system for number in self.mine() if (system := self.system(number)) is not None]

    def note_high_water(self) -> None:
        """Record in this process up to which event each log that it owns is durable."""
        for system in self.systems():
            system.inner.store.note_high_water()  # type: ignore[attr-defined] # a PostgresStore

    # --- handlers ----------------------------------------------------------------------------------------------------------

    def register(self, register: Callable[[int, System], None]) -> None:
        """Call `register` with each System here, also with those that are being opened."""
        with self._lock:
            hosted = [one for one in self._hosted.values() if one.state is not State.CLOSING]
        for one in hosted:
            register(one.number, one.system)

    # --- opening and closing -----------------------------------------------------------------------------------------------

    def take(self, number: int, instead_of: str = "") -> None:
        """Begin to open a partition, unless it is here already or its pause after a failure has not passed. Returns at once."""
        with self._lock:
            not_before_s, _ = self._pauses.get(number, (0.0, 0.0))
            if number in self._hosted or time.monotonic() < not_before_s:
                return
            try:
                hosted = self._hosted[number] = _Hosted(number, self._make(number, instead_of))
            except Exception as error:  # noqa: BLE001 - an argument of the host may be wrong; `start` of the cluster raises it
                self._not_opened(number, error)
                return
            thread = BackgroundThread(self._open, f"perdure-open-{number}", hosted)
            try:
                thread.start()
            except RuntimeError as error:
                self._not_opened(number, error)
                return
            hosted.thread = thread

    def _open(self, hosted: _Hosted) -> None:
        try:
            hosted.system.start()
        except BaseException as error:  # noqa: BLE001 - whatever a start hook or a store raises; the cluster's `start` raises it
            self._not_opened(hosted.number, error)
        else:
            with self._lock:
                hosted.state = State.OWNED
                self._pauses.pop(hosted.number, None)
                self.failures.pop(hosted.number, None)
            logger.info("partition %d is owned by this process from now on", hosted.number)
            with contextlib.suppress(NotRunning):
                self._opened(hosted.number, hosted.system)
        self._changed()

    def _not_opened(self, number: int, error: BaseException) -> None:
        if not isinstance(error, StoreLocked):
            logger.error("partition %d could not be opened, it is tried again: %s", number, error)
        with self._lock:
            self._hosted.pop(number, None)
            _, before_s = self._pauses.get(number, (0.0, PAUSE_S / 2))
            pause_s = PAUSE_S if isinstance(error, StoreLocked) else min(PAUSE_MAX_S, before_s * 2)
            self._pauses[number] = (time.monotonic() + pause_s, pause_s)
            self.failures[number] = error

    def give(self, number: int, grace_s: float | None = None) -> None:
        """Begin to close a partition: its handlers finish, for `grace_s` seconds at most, and then it is free. Returns at once."""
        try:
            self._give(number, grace_s)
        except RuntimeError as error:
            logger.warning("partition %d is not closed yet, it is tried again: %s", number, error)

    def _give(self, number: int, grace_s: float | None) -> None:
        with self._lock:
            hosted = self._hosted.get(number)
            if hosted is None or hosted.state is not State.OWNED:
                return
            hosted.state = State.CLOSING
            thread = BackgroundThread(self._close, f"perdure-close-{number}", hosted, grace_s)
            try:
                thread.start()
            except RuntimeError:
                hosted.state = State.OWNED
                raise
            hosted.thread = thread

    def _close(self, hosted: _Hosted, grace_s: float | None) -> None:
        try:
            hosted.system.stop(grace_s)
        except PerdureError as error:
            logger.warning("partition %d could not be closed in order: %s", hosted.number, error)
        finally:
            with self._lock:
                self._hosted.pop(hosted.number, None)
            self._changed()

    def look(self) -> None:
        """Close partitions that have stopped by themselves. One that another process has taken over is no failure: it stands by."""
        for number in self.mine():
            hosted = self._hosted.get(number)
            if hosted is None or hosted.system.running:
                continue
            why = hosted.system.inner.failure()
            if isinstance(why, OwnershipLost):
                logger.warning("partition %d stands by here: %s", number, why)
            else:
                logger.error("partition %d has stopped, it is opened again: %s", number, why)
                with self._lock:
                    _, before_s = self._pauses.get(number, (0.0, PAUSE_S / 2))
                    pause_s = min(PAUSE_MAX_S, before_s * 2)
                    self._pauses[number] = (time.monotonic() + pause_s, pause_s)
            self.give(number, GONE_S)

    def settle(self, seconds: float) -> None:
        """Wait until no partition is being opened or closed, for so many seconds at most."""
        until_s = time.monotonic() + seconds
        while True:
            with self._lock:
                busy = [one.thread for one in self._hosted.values() if one.state is not State.OWNED and one.thread is not None]
            if not busy or time.monotonic() >= until_s:
                return
            busy[0].join(max(0.0, until_s - time.monotonic()))

    def close_all(self, grace_s: float | None, seconds: float) -> None:
        """Close all partitions at the same time, also those being opened; wait for their end, for so many seconds at most."""
        until_s = time.monotonic() + seconds
        while self._hosted and time.monotonic() < until_s:
            for number in self.mine():
                try:
                    self._give(number, grace_s)
                except RuntimeError as error:  # no thread could be started, for example while the interpreter exits
                    logger.warning("partition %d is closed in the thread that stops: %s", number, error)
                    self._close_here(number, grace_s)
            self.settle(max(0.0, until_s - time.monotonic()))

    def _close_here(self, number: int, grace_s: float | None) -> None:
        with self._lock:
            hosted = self._hosted.get(number)
            if hosted is None or hosted.state is not State.OWNED:
                return
            hosted.state = State.CLOSING
        self._close(hosted, grace_s)

    def end_grace(self) -> None:
        """End the grace period of all partitions, in a stop that runs or is about to begin."""
        with self._lock:
            systems = [hosted.system for hosted in self._hosted.values()]
        for system in systems:
            system.inner.end_grace()
