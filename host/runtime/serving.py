"""Serving: a system that runs until it is asked to end, by SIGTERM or SIGINT, and then ends in good order.

What a start and a stop are is in `system`; the parts that belong to it, such as outbox relays, are started and stopped here.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from perdure.events.errors import NotRunning, PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from perdure.runtime.engine import Engine

__all__ = ["Part", "aserve", "serve"]

logger = logging.getLogger("perdure")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOOK_S = 0.25
"""How often it is looked whether the system still runs."""


class Part(Protocol):
    """Something that works for a system as long as that runs: an `OutboxRelay`, or a part of the host's own."""

    def start(self) -> None:
        """Begin to work; the system runs."""

    def stop(self) -> None:
        """End; the system still runs."""


class Served(Protocol):
    """What is asked of a System here."""

    _engine: Engine | None

    @property
    def running(self) -> bool:
        """Whether it takes messages."""

    @property
    def parts(self) -> Sequence[Part]:
        """What belongs to it."""

    def start(self) -> None:
        """See `System.start`."""

    def stop(self, grace: float | None = None) -> None:
        """See `System.stop`."""


class _Asked:
    """The wish that it ends. A second signal ends the grace period of the stop that the first has begun."""

    def __init__(self, system: Served) -> None:
        self._system = system
        # No Event: its lock may be held by the very thread that the signal interrupts. This may be put to at any instruction.
        self._queue: SimpleQueue[int] = SimpleQueue()
        self._times = 0

    def ask(self, number: int, _frame: FrameType | None = None) -> None:
        self._times += 1
        self._queue.put(number)
        engine = self._system._engine  # noqa: SLF001 - the front door's own
        if self._times > 1 and engine is not None:
            engine.end_grace()

    def within(self, timeout_s: float) -> bool:
        try:
            number = self._queue.get(timeout=timeout_s)
        except Empty:
            return False
        logger.info("asked to end by %s", signal.Signals(number).name)
        return True


def serve(system: Served, grace: float | None, started: Callable[[], object] | None) -> None:
    """See `System.serve`."""
    if threading.current_thread() is not threading.main_thread():
        msg = (
            "serve() listens to SIGTERM and SIGINT, which only the main thread can do. Call it there; in another thread use "
            "start() and stop(), or `with system:`, and have the main thread end it."
        )
        raise PerdureError(msg)
    asked = _Asked(system)
    before: dict[int, Any] = {}
    try:
        for number in SIGNALS:
            before[number] = signal.signal(number, asked.ask)
        if system._engine is None:  # noqa: SLF001 - the front door's own
            system.start()
        engine = system._engine  # noqa: SLF001 - as above
        begun: list[Part] = []
        try:
            _begin_parts(system, begun)
            if started is not None:
                started()
            while system.running and not asked.within(LOOK_S):
                pass
        finally:
            _end(system, begun, grace)
        _check_not_given_up(engine)
    finally:
        for taken, handler in before.items():
            signal.signal(taken, handler)


async def aserve(system: Served, grace: float | None, started: Callable[[], object] | None) -> None:
    """See `System.aserve`."""
    loop = asyncio.get_running_loop()
    asked = _Asked(system)
    ask = asyncio.Event()

    def on_signal(number: int) -> None:
        asked.ask(number)
        ask.set()

    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    wait_for_notify: list[signal.Signals] = []
    try:
        for number in SIGNALS:
            try:
                loop.add_signal_handler(number, on_signal, number)
            except (RuntimeError, ValueError, NotImplementedError) as error:
                msg = (
                    "aserve() listens to SIGTERM and SIGINT, which only the event loop of the main thread can do (and not every "
                    "kind of loop). There, use it; elsewhere use `async with system:`, and have the host end the block."
                )
                raise PerdureError(msg) from error
            wait_for_notify.append(number)
        if system._engine is None:  # noqa: SLF001 - the front door's own
            await system.__aenter__()  # type: ignore[attr-defined]  # a System
        engine = system._engine  # noqa: SLF001 - as above
        begun: list[Part] = []
        try:
            await asyncio.to_thread(_begin_parts, system, begun)
            if started is not None:
                started()
            while system.running and not ask.is_set():
                try:
                    await asyncio.wait_for(ask.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            await _to_its_end(lambda: _end(system, begun, grace))
        _check_not_given_up(engine)
    finally:
        for heard_number in wait_for_notify:
            loop.remove_signal_handler(heard_number)
            signal.signal(heard_number, before[heard_number])


async def _to_its_end(work: Callable[[], object]) -> None:
    """Wait for what a thread does, also where the await is cancelled meanwhile."""
    doing = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


def _begin_parts(system: Served, begun: list[Part]) -> None:
    for part in system.parts:
        begun.append(part)  # first, so that one that fails half-way is ended
        part.start()


def _end(system: Served, begun: list[Part], grace: float | None) -> None:
    _end_parts(begun)
    system.stop(grace)


def _end_parts(begun: list[Part]) -> None:
    """End the parts, the last first; one that hangs (in a database that does not answer, say) is left behind."""
    for part in reversed(begun):
        thread = threading.Thread(target=_end_part, args=(part,), name="perdure-part", daemon=True)
        thread.start()
        thread.join(1.0)
        if thread.is_alive():
            logger.warning("%r did not stop within a second and is left behind", part)


def _end_part(part: Part) -> None:
    try:
        part.stop()
    except Exception:
        logger.exception("%r could not be stopped", part)


def _check_not_given_up(engine: Engine | None) -> None:
    """Raise why the system has given up, if it has."""
    failed = None if engine is None else engine.runtime.health.failed
    if isinstance(failed, NotRunning):
        raise failed
