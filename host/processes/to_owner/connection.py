"""The way from this process to the owner of a folder: one socket, and the thread that connects it and looks after it.

That thread reads where no thread waits for an answer; those that do read for all (`traffic`, `leading`). What is sent and received
is in `exchange`; what is asked, and what an answer means, is in `client`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.current_actor import CURRENT
from perdure.actors.core.threads.thread_start import begin_thread
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions.listening.loopback import Proof
from perdure.actors.sessions.listening.waker import NoWaker, Waker
from perdure.processes.role_rules import Event
from perdure.processes.to_owner.exchange import Exchange
from perdure.processes.to_owner.leading import Leadership
from perdure.processes.to_owner.link import Link
from perdure.processes.to_owner.traffic import PAUSE_FIRST_S, QUIET_S, NoActor, Traffic
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.errors import NotRunning
    from perdure.processes.to_owner.no_owner import NoAnswer
    from perdure.processes.to_owner.spooling import Spooling
    from perdure.processes.ways.way import Way

__all__ = ["Connection"]

LOOK_S = 0.05
"""How often deadlines are looked at."""
IDLE_S = 0.25
"""The same, while nothing was asked when the thread looked last."""


class Connection(Traffic):
    """Requests in any thread; see the module for what sends them and gives them their answers.

    Args:
        way: to the owner.
        timeout_s: how long a request waits for an owner that takes it, and for a sign of life of one that has it.
        name: what the owner's log calls this process.
        on_facts: called, in the thread that reads, with the owner's facts, whenever they change.
        equip: enters what else frames are taken by and made of, into an exchange that is new: at the start, and in a forked child.
        spool: where publishes go while there is no owner; None: they wait for one.
        on_lost: called in the connection's own thread when an owner is lost, before another is looked for.
        watch: called when an owner has welcomed this process, when that one is lost, and when none is reached.
        pending: the requests of a System, which outlive this connection; its own unless given.
    """

    publishes_alone = False
    """Publishes need not wait for an owner."""

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
        if self._spool is not None:
            self.exchange.spools = True
            self.exchange.held.is_left, self.exchange.held.is_on = self._spool.is_left, self._spool.is_left()
        self._equip(self.exchange)
        self.welcomed = threading.Event()
        self.pid: int | None = None
        """The process that answers, or listens and does not."""
        self._link: Link | None = None
        self._leadership = Leadership(self._may_lead, self._lead, self._follow_up)
        self._heard: Waker | None = Waker()
        self._waker: Waker | NoWaker = self._heard
        self._watches = True
        self._untold_loss: bool | None = None
        """Set from when a link is hung up until its loss is reported: whether an owner had answered on it."""
        self._last_error = ""
        """Why there is no owner."""
        self._pause_s = PAUSE_FIRST_S
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._sending = threading.Lock()
        self._sender = 0

    # --- life --------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look for an owner, unless that has begun."""
        with self._starting:
            if self._thread is None:
                self._thread = EnduringThread(_run, "perdure-client", weakref.ref(self), self._heard)
                try:
                    begin_thread(self._thread)
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
        self._waker.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        self.pending.abandon(why)
        self._hang_up("the client was closed")
        if self._spool is not None:
            self._spool.close()
        self._waker, self._heard = NoWaker(), None

    def rest(self) -> None:
        """End a connection that is made anew for the next question, unless something is asked. In any thread.

        What is asked at this very moment is asked again over the next one, and counts once.
        """
        link = self._link
        if link is not None and self.way.is_on_demand and len(self.pending.outstanding) <= self.exchange.local():
            link.end("nothing was asked")
            self._waker.wake()
            self.way.rest()

    def leave(self) -> None:
        """End the connection, and leave all requests as they are: this process answers them itself from now on."""
        self._is_closing = True
        self._waker.wake()  # its thread ends by itself: it may be in a pause, and the takeover is not to wait for that
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
        exchange, is_connected = self.exchange, self._link is not None
        return self.way.why_no_answer(
            exchange.refusal, self._last_error, pid=self.pid, is_connected=is_connected, reading=exchange.reading
        )

    def hears(self, waker: Waker) -> bool:
        """Return whether it is still woken by a waker, and was not begun anew with another one."""
        return self._heard is waker

    # --- the connection's own thread ---------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Do what there is to do, waiting a moment at most; False once it is over."""
        if self._is_closing:
            self._hang_up("it was closed")
            return False
        if self._untold_loss is not None:
            self._tell_loss(was_up=self._untold_loss)
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
        """Wait for the link or the waker, and do what is needed."""
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
            was_up = self._untold_loss = exchange.is_up
            self._hang_up(link.broken)
            self._tell_loss(was_up=was_up)

    def _tell_loss(self, *, was_up: bool) -> None:
        """Report that an owner is lost; begun again where an exception interrupts it."""
        if was_up:
            self._on_lost()
        self._watch(Event.LOST)
        self._untold_loss = None

    def _wait(self, link: Link) -> int:
        """Return what the link is ready for, as `select.poll` says it."""
        poll = select.poll()
        waker = self._heard
        if waker is not None:
            poll.register(waker, select.POLLIN)
        poll.register(link.sock, (select.POLLIN if self._watches else 0) | (select.POLLOUT if link.out else 0))
        fd = link.sock.fileno()
        ready = dict(poll.poll(self._patience_s() * 1000))
        if waker is not None:
            waker.clear()
        return ready.get(fd, 0)

    def _patience_s(self) -> float:
        if self.exchange.is_gathering or not self._watches:
            return QUIET_S
        return LOOK_S if self.pending.outstanding or not self.exchange.is_up else IDLE_S

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
        first = self._sent_hello(sock) if proof is None else proof.frame + self.exchange.hello(time.monotonic())
        link = self._link = Link(sock, first, proof)
        return link

    def _sent_hello(self, sock: socket.socket) -> bytes:
        """Say hello, with what goes along; return what of it is still to be sent."""
        hello, descriptors = self.exchange.hello(time.monotonic()), self.exchange.descriptors
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
        """Wait for the waker, for so long at most."""
        waker = self._heard
        if waker is not None:
            poll = select.poll()
            poll.register(waker, select.POLLIN)
            poll.poll(seconds * 1000)
            waker.clear()

    def _hang_up(self, why: str) -> None:
        """Close the link to an owner that is gone, or that this process leaves, once no thread reads or writes it."""
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


def _run(of: weakref.ref[Connection], waker: Waker) -> None:
    """Take turns for a connection for as long as it is there, and is not begun anew with another waker."""
    CURRENT.actor = NoActor()
    while (connection := of()) is not None and connection.hears(waker):
        if not connection.turn():
            return
        del connection
