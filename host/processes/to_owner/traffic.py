"""Traffic over the one link to an owner: any thread that asks sends, and one thread that waits for an answer reads for all.

When there is a link, and the thread that looks after it, is in `connection`; frames are made and taken in by `exchange`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from perdure.actors.core.threads.current_actor import CURRENT
from perdure.processes.role_rules import Event
from perdure.processes.to_owner.exchange import HOLD_S
from perdure.processes.to_owner.leading import LedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.actors.sessions.listening.waker import NoWaker, Waker
    from perdure.processes.to_owner.exchange import Exchange
    from perdure.processes.to_owner.leading import Leadership
    from perdure.processes.to_owner.link import Link
    from perdure.processes.to_owner.spooling import Spooling
    from perdure.processes.ways.way import Way

__all__ = ["PAUSE_FIRST_S", "QUIET_S", "NoActor", "Traffic"]

PAUSE_FIRST_S = 0.005
"""Between two tries to reach an owner; doubled until `Way.pause_max_s`."""
QUIET_S = 0.02
"""How long the connection's own thread leaves the socket alone when another thread reads it."""


class NoActor:
    """What is known of a thread that reads as if it was an actor's: nothing that waits for an answer may be called in it."""

    name = "connection"
    runs_handlers = False
    in_callback = False

    def __init__(self, *, stands_in: bool = False) -> None:
        self.stands_in = stands_in


class Traffic(ABC):
    """The part of a `Connection` that any thread uses."""

    way: Way
    pending: PendingRequests
    exchange: Exchange
    welcomed: threading.Event
    """Set once an owner has sent the facts that requests depend on."""
    _link: Link | None
    _leadership: Leadership
    _waker: Waker | NoWaker
    _spool: Spooling | None
    _watch: Callable[[Event], None]
    _watches: bool
    """The connection's own thread waits for the socket too."""
    _pause_s: float
    _thread: threading.Thread | None
    _sending: threading.Lock
    """Held while frames are made and written, and while the link changes. Only the connection's own thread waits for it."""
    _sender: int
    """The thread that holds it, unless that is the connection's own."""

    @abstractmethod
    def start(self) -> None:
        """Begin to look for an owner, unless that has begun."""

    def tell(self, _target: str, request: Request) -> None:
        """Send a request; see `PendingRequests`."""
        self.exchange.ask(request, time.monotonic())
        if self._thread is None:
            self.start()
        self._flush()
        exchange = self.exchange
        if (not exchange.is_up or exchange.is_silent) and (self._spool is not None or self.way.is_on_demand):
            self._waker.wake()

    def post(self, frame: bytes) -> None:
        """Send a frame that no answer comes to, if there is an owner; see `Exchange.post`. In any thread."""
        self.exchange.post(frame)
        self._flush()

    @property
    def says_policies(self) -> bool:
        """Whether an owner has sent the policies of its handlers for keys."""
        return self.welcomed.is_set()

    def answer(self) -> LedAnswer:
        """Return a reply to wait for, whose thread reads the connection meanwhile."""
        return LedAnswer(self._leadership)

    def _flush(self) -> None:
        """Send what is ready to be sent, in this thread and without waiting; what the socket does not take is left to the other."""
        exchange = self.exchange
        while exchange.is_ripe(time.monotonic()):
            sending, link = self._sending, self._link
            if link is None or link.broken:
                self._waker.wake()
                return
            if link.out or not sending.acquire(blocking=False):
                if self._sender == threading.get_ident():
                    self._interrupted(link)
                elif link.out:
                    self._waker.wake()
                return  # the thread that sends looks again when it has sent
            self._sender = threading.get_ident()
            try:
                self._send(exchange, link)
            finally:
                self._sender = 0
                sending.release()

    def _interrupted(self, link: Link) -> None:
        """End a link for a signal handler or finalizer that runs while this very thread sends: the half-sent frame cannot go on."""
        self._sending = threading.Lock()
        link.end("a frame was not written whole")
        self._waker.wake()

    def _send(self, exchange: Exchange, link: Link) -> None:
        """Write what is ready; with `_sending` held."""
        if link.is_writing:  # a thread was interrupted in it: it is unknown what was written
            link.end("a frame was not written whole")
            return
        link.is_writing = True
        try:
            if exchange.is_up and link is self._link and not link.out:
                link.out.extend(map(memoryview, exchange.frames(time.monotonic())))
            link.write()
        except OSError as error:
            link.end(str(error))
            self._waker.wake()
        link.is_writing = False

    def _read(self, exchange: Exchange, link: Link) -> None:
        """Take in what has come; as the reader."""
        if link.is_reading:  # a thread was interrupted in it: it is unknown what was taken in
            link.end("a frame was not read whole")
            self._waker.wake()
            return
        link.is_reading, was_up = True, exchange.is_up
        actor, CURRENT.actor = CURRENT.actor, NoActor(stands_in=True)
        try:
            for kind, elements in link.read():
                exchange.take(kind, elements, time.monotonic())
        except (OSError, ValueError, TypeError, KeyError) as error:  # what came is no frame, or none of this version
            link.end(str(error) or repr(error))
            self._waker.wake()
        finally:
            CURRENT.actor = actor
        if exchange.is_up:
            self._pause_s = PAUSE_FIRST_S
            if not self.welcomed.is_set():
                self.welcomed.set()
            if not was_up:
                if self._spool is not None:
                    self._spool.note()
                self._watch(Event.WELCOMED)
        link.is_reading = False  # not before the welcome is reported: a thread that is interrupted in that ends the link
        self._flush()

    # --- threads that wait -------------------------------------------------------------------------------------------------

    def _may_lead(self) -> bool:
        link = self._link
        return self.exchange.is_up and link is not None and not link.broken

    def _lead(self, answer: LedAnswer, until_s: float) -> None:
        exchange, link, leadership = self.exchange, self._link, self._leadership
        while link is not None and not (answer.is_there or link.broken) and leadership.is_led_by(answer):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            if link.wait(min(HOLD_S, left_s)):
                self._read(exchange, link)
            elif exchange.is_gathering:
                self._flush()

    def _follow_up(self) -> None:
        """Have the connection's own thread read, if something is to come: a leader has left, and none follows."""
        if not self._watches and self.pending.outstanding:
            self._waker.wake()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold `_sending`; anew where a thread that was killed, or is interrupted, has kept it."""
        until_s = time.monotonic() + 1.0
        while not (lock := self._sending).acquire(timeout=QUIET_S):
            if time.monotonic() > until_s and lock is self._sending:
                self._sending = threading.Lock()
        try:
            yield
        finally:
            lock.release()
