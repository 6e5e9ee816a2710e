"""The way from this process to the owner of a folder: one socket, and the threads that read and write it.

A thread that waits for an answer reads for all (`leading`); a thread of the connection's own connects, and reads where no thread
waits. What is said is in `exchange`; what is asked, and what an answer means, is in `client`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.current_actor import CURRENT, begin
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions.doors.bell import Bell, Silence
from perdure.actors.sessions.doors.loopback import Proof
from perdure.events.loggers import GuardedLogger
from perdure.processes.exchange import HOLD_S, Exchange
from perdure.processes.leading import Leadership, LedAnswer
from perdure.processes.link import Link
from perdure.processes.role_rules import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.actors.requests.request import Request
    from perdure.events.errors import NotRunning
    from perdure.processes.no_owner import NoAnswer
    from perdure.processes.spooling import Spooling
    from perdure.processes.ways.way import Way

__all__ = ["Connection"]

logger = GuardedLogger("perdure")

PAUSE_FIRST_S = 0.005
"""Between two tries to reach an owner; doubled until `Way.pause_max_s`."""
LOOK_S = 0.05
"""How often deadlines are looked at."""
IDLE_S = 0.25
"""The same, while nothing was asked when the thread looked last."""
QUIET_S = 0.02
"""How long the connection's own thread leaves the socket alone when another thread reads it."""


class _NoActor:
    """What is known of a thread that reads as if it was an actor's: nothing that waits for an answer may be called in it."""

    name = "connection"
    runs_handlers = False
    in_callback = False

    def __init__(self, *, stands_in: bool = False) -> None:
        self.stands_in = stands_in


class Connection:
    """Requests in any thread; see the module for what sends them and gives them their answers.

    Args:
        way: to the owner.
        timeout_s: how long a request waits for an owner that takes it, and for a word of one that has it.
        name: what the owner's log calls this process.
        on_facts: called, in the thread that reads, with what the owner says of itself, whenever that changes.
        equip: enters what else frames are taken by and made of, into an exchange that is new: at the start, and in a forked child.
        spool: where publishes go while there is no owner; None: they wait for one.
        on_lost: called in the connection's own thread when an owner is lost, before another is looked for.
        watch: called when an owner has welcomed this process, when that one is lost, and when none is reached.
        pending: the requests of a System, which outlive this connection; its own unless given.
    """

    publishes_alone = False
    """Publishes need no word of an owner first."""

    def __init__(
        self,
        way: Way,
        timeout_s: float,
        name: str,
        on_facts: Callable[[dict[str, Any]], None],
        *,
        equip: Callable[[Exchange], None] = lambda _: None,
        spool: Spooling | None = None,
        on_lost: Callable[[], None] = lambda: None,
        watch: Callable[[Event], None] = lambda _: None,
        pending: PendingRequests | None = None,
    ) -> None:
        self.way = way
        self.timeout_s = timeout_s
        self._name = name
        self._on_facts = on_facts
        self._equip = equip
        self._spool = spool
        self._on_lost = on_lost
        self._watch = watch
        self._begin_anew(pending)

    def _begin_anew(self, pending: PendingRequests | None = None) -> None:
        self.pending = pending or PendingRequests(self.tell)
        self.exchange = Exchange(self._name, self.timeout_s, self.pending, self._on_facts, self._why)
        self.exchange.heard_s = time.monotonic()
        self.exchange.lost(self.exchange.heard_s)
        self.exchange.spools = self._spool is not None
        self._equip(self.exchange)
        self.welcomed = threading.Event()
        """An owner has said what a request must know of it."""
        self.pid: int | None = None
        """The process that answers, or listens and does not."""
        self._link: Link | None = None
        self._leadership = Leadership(self._may_lead, self._lead, self._follow_up)
        self._heard: Bell | None = Bell()
        self._bell: Bell | Silence = self._heard
        self._watches = True
        """The connection's own thread waits for the socket too."""
        self._last_error = ""
        """Why there is no owner."""
        self._pause_s = PAUSE_FIRST_S
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._sending = threading.Lock()
        """Held while frames are made and written, and while the link changes. Only the connection's own thread waits for it."""
        self._sender = 0
        """The thread that holds it, unless that is the connection's own."""

    # --- in any thread -----------------------------------------------------------------------------------------------------

    def tell(self, _target: str, request: Request) -> None:
        """Send a request; see `PendingRequests`."""
        self.exchange.ask(request, time.monotonic())
        if self._thread is None:
            self.start()
        self._flush()
        exchange = self.exchange
        if (not exchange.is_up or exchange.is_silent) and (self._spool is not None or self.way.is_on_demand):
            self._bell.ring()

    def post(self, frame: bytes) -> None:
        """Send a frame that no answer comes to, if there is an owner; see `Exchange.post`. In any thread."""
        self.exchange.post(frame)
        self._flush()

    @property
    def says_policies(self) -> bool:
        """Whether an owner has said what its handlers say of keys."""
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
                self._bell.ring()
                return
            if link.out or not sending.acquire(blocking=False):
                if self._sender == threading.get_ident():
                    self._interrupted(link)
                elif link.out:
                    self._bell.ring()
                return  # the thread that sends looks again when it has sent
            self._sender = threading.get_ident()
            try:
                self._send(exchange, link)
            finally:
                self._sender = 0
                sending.release()

    def _interrupted(self, link: Link) -> None:
        """A signal handler, or a finalizer, asks while this very thread sends: what is half sent cannot go on before it is over."""
        self._sending = threading.Lock()
        link.end("a frame was not written whole")
        self._bell.ring()

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
            self._bell.ring()
        link.is_writing = False

    def _read(self, exchange: Exchange, link: Link) -> None:
        """Take in what has come; as the reader."""
        if link.is_reading:  # a thread was interrupted in it: it is unknown what was taken in
            link.end("a frame was not read whole")
            self._bell.ring()
            return
        link.is_reading, was_up = True, exchange.is_up
        actor, CURRENT.actor = CURRENT.actor, _NoActor(stands_in=True)
        try:
            for kind, elements in link.read():
                exchange.take(kind, elements, time.monotonic())
        except (OSError, ValueError, TypeError, KeyError) as error:  # what came is no frame, or none of this version
            link.end(str(error) or repr(error))
            self._bell.ring()
        finally:
            CURRENT.actor = actor
        link.is_reading = False
        if exchange.is_up:
            self._pause_s = PAUSE_FIRST_S
            if not self.welcomed.is_set():
                self.welcomed.set()
            if not was_up:
                self._watch(Event.WELCOMED)
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
        """A leader has left, and none follows: the connection's own thread reads, if there is something to come."""
        if not self._watches and self.pending.outstanding:
            self._bell.ring()

    # --- life --------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look for an owner, unless that has begun."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_run, args=(weakref.ref(self), self._heard), name="perdure-client", daemon=True
                )
                try:
                    begin(self._thread)
                except RuntimeError:  # this process may have no more threads
                    self._thread = None
                    raise

    def close(self, wait_s: float, why: NotRunning) -> None:
        """Wait for what is under way, then refuse what is left, and let the owner go."""
        until_s = time.monotonic() + wait_s
        self.pending.closed = self.pending.closed or why
        thread = self._thread
        while self.pending.under_way > 0 and time.monotonic() < until_s and thread is not None and thread.is_alive():
            time.sleep(0.002)
        self._is_closing = True
        self._bell.ring()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        self.pending.abandon(why)
        self._hang_up("the client was closed")
        if self._spool is not None:
            self._spool.close()
        self._bell, self._heard = Silence(), None

    def leave(self) -> None:
        """End the connection, and leave all requests as they are: this process answers them itself from now on."""
        self._is_closing = True
        self._bell.ring()  # its thread ends by itself: it may be in a pause, and the takeover is not to wait for that
        self._hang_up("this process owns the folder")
        if self._spool is not None:
            self._spool.end()  # from here on the files have all that was answered, and nothing that is not

    def discard_after_fork(self, why: NotRunning, *, for_good: bool = False) -> None:
        """In a forked child: fail what was the parent's, close the copy of its socket, and begin anew unless it ends `for_good`."""
        self._is_closing = self._is_closing or for_good
        self.pending.discard_after_fork(why)
        link, self._link = self._link, None
        if link is not None:
            link.sock.close()
        if self._spool is not None:
            self._spool.close()
        if not self._is_closing:
            self._begin_anew()

    def no_owner(self) -> NotRunning:
        """Return the error of a request that no owner has taken in time."""
        return self.exchange.no_owner()

    def _why(self) -> NoAnswer:
        is_connected = self._link is not None
        return self.way.why_no_answer(self.exchange.refusal, self._last_error, pid=self.pid, is_connected=is_connected)

    # --- the connection's own thread ---------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Do what there is to do, waiting a moment at most; False once it is over."""
        if self._is_closing:
            self._hang_up("it was closed")
            return False
        link = self._link
        if link is None and self._is_wanted():
            link = self._reached()
        if link is not None:
            self._attend(link)
        if self._spool is not None:
            self._spool.spool(self.exchange, time.monotonic())
        self.exchange.expire(time.monotonic())
        return True

    def _is_wanted(self) -> bool:
        """Return whether to look for an owner; if not, wait a while until something is asked."""
        is_wanted = not self.way.is_on_demand or not self.welcomed.is_set() or len(self.pending.outstanding) > self.exchange.local()
        if not is_wanted:
            self._hear(IDLE_S)
        return is_wanted

    def _attend(self, link: Link) -> None:
        """Wait for the link or the bell, and do what is needed."""
        exchange = self.exchange
        ready = self._wait(link)
        if ready & ~select.POLLOUT and not link.broken:
            if self._leadership.take(self):
                try:
                    self._read(exchange, link)
                finally:
                    self._leadership.let_go(self)
            elif ready & (select.POLLHUP | select.POLLERR):
                time.sleep(0.001)  # its reader sees it too
        self._watches = not self._leadership.is_taken
        with self._alone():
            if not link.broken:
                if not link.out:  # an owner that reads nothing gets no more signs of life
                    link.out.extend(map(memoryview, exchange.housekeeping(time.monotonic())))
                self._send(exchange, link)
        self._flush()
        if link.broken:
            was_up = exchange.is_up
            self._hang_up(link.broken)
            if was_up:
                self._on_lost()
            self._watch(Event.LOST)

    def _wait(self, link: Link) -> int:
        """Return what the link is ready for, as `select.poll` says it."""
        poll = select.poll()
        bell = self._heard
        if bell is not None:
            poll.register(bell, select.POLLIN)
        poll.register(link.sock, (select.POLLIN if self._watches else 0) | (select.POLLOUT if link.out else 0))
        fd = link.sock.fileno()
        ready = dict(poll.poll(self._patience_s() * 1000))
        if bell is not None:
            bell.hear()
        return ready.get(fd, 0)

    def _patience_s(self) -> float:
        if self.exchange.is_gathering or not self._watches:
            return QUIET_S
        return LOOK_S if self.pending.outstanding or not self.exchange.is_up else IDLE_S

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

    def _reached(self) -> Link | None:
        """Connect, and say hello."""
        if self.exchange.refusal:
            self._pause()
        try:
            sock, secret, self.pid = self.way.reach()
        except OSError as error:
            self.exchange.refusal, self._last_error = "", str(error)
            self._watch(Event.UNREACHED)
            self._pause()
            return None
        if self._is_closing:
            sock.close()
            return None
        self._watches = True
        proof = Proof(secret) if secret else None
        first = self._said_hello(sock) if proof is None else proof.frame + self.exchange.hello()
        link = self._link = Link(sock, first, proof)
        return link

    def _said_hello(self, sock: socket.socket) -> bytes:
        """Say hello, with what goes along; return what of it is still to be sent."""
        hello, descriptors = self.exchange.hello(), self.exchange.descriptors
        if descriptors:
            with contextlib.suppress(OSError):  # the next write finds out again
                return hello[socket.send_fds(sock, [hello], descriptors) :]
        return hello

    def _pause(self) -> None:
        if self._is_closing or self._heard is None:
            return
        if self._spool is None:
            time.sleep(self._pause_s)
        else:
            self._hear(self._pause_s)  # a publish is spooled at once
        self._pause_s = min(self.way.pause_max_s, 2 * self._pause_s)

    def _hear(self, seconds: float) -> None:
        """Wait for the bell, for so long at most."""
        bell = self._heard
        if bell is not None:
            poll = select.poll()
            poll.register(bell, select.POLLIN)
            poll.poll(seconds * 1000)
            bell.hear()

    def _hang_up(self, why: str) -> None:
        """The owner is gone, or this connection to it is: close it, once no thread reads or writes it."""
        link = self._link
        if link is None:
            return
        link.end(why)
        until_s = time.monotonic() + 1.0
        while not self._leadership.take(self) and time.monotonic() < until_s:
            time.sleep(0.001)
        with self._alone():
            self.exchange.lost(time.monotonic())
            self._link = None
            self._last_error = why
        if self._leadership.let_go(self):
            link.sock.close()
        # Else a callback holds up the reader: the socket, which is shut down, is closed when that thread drops it.


def _run(of: weakref.ref[Connection], bell: Bell) -> None:
    """Take turns for a connection for as long as it is there, and is not begun anew with another bell."""
    CURRENT.actor = _NoActor()
    while (connection := of()) is not None and connection._heard is bell:  # noqa: SLF001 - this module's own
        try:
            if not connection.turn():
                return
        except Exception:
            logger.exception("a turn of the connection to %s failed; it goes on", connection.way)
            time.sleep(LOOK_S)
        del connection
