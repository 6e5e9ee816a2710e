"""`WaitingLine`: other processes that have connected while the owner still reads its log; each is told how far that is.

What they say stays in their sockets, for the server that answers them later: it is only looked at here. Not here: what they are
answered (`actors/sessions/server`), and for how long they wait (`perdure.events.processes.log_reading`).
"""

from __future__ import annotations

import select
import socket
import time
import weakref
from os import register_at_fork
from typing import TYPE_CHECKING

from perdure.actors.sessions.framing.wire import HELLO_MAX, LENGTH, TAKES_READING, Assembler, BadFrame, Kind, pack
from perdure.actors.sessions.listening.loopback import proven
from perdure.actors.sessions.listening.sockets import peer_of
from perdure.actors.sessions.listening.waker import Waker
from perdure.events.loggers import GuardedLogger
from perdure.events.processes.log_reading import is_news
from perdure.store.disk.each_alone import FORKED, call_each
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from perdure.actors.sessions.listening.sockets import FolderListener

__all__ = ["Waiter", "WaitingLine"]

logger = GuardedLogger("perdure")

LOOK_S = 0.2
"""How often each is looked at, and told of what is new."""
LINE_MAX = 1000
"""Connections in line; others wait to be accepted."""
LEAVE_S = 2.0
"""How long `end` waits for the thread."""

_lines: weakref.WeakSet[WaitingLine] = weakref.WeakSet()


class Waiter:
    """A connection in line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.is_proven = False
        """It has proved that it knows the owner's secret, and was answered."""
        self.is_looked_at = False
        """Its first frame has been looked at, or is nothing that is understood here."""
        self.takes_reading = False
        self.sent_steps: int | None = None
        """How many steps the reader had made by the last READING that was sent; None before the first."""


class WaitingLine:
    """Accepts connections, in a thread of its own, from when it is made until `end`.

    Args:
        listener: the owner's.
        uids: of the users that are told anything.
    """

    def __init__(self, listener: FolderListener, uids: Collection[int]) -> None:
        self._listener = listener
        self._uids = uids
        self._waker = Waker()
        self._waiting: list[Waiter] = []
        self._seq = self._last_seq = self._steps = 0
        self._is_over = False
        self._thread: EnduringThread | None = EnduringThread(self._run, "perdure-line")
        try:
            self._thread.start()
        except RuntimeError as error:  # this process may have no more threads: all wait to be accepted, and are told nothing
            logger.warning("processes that wait for this one are not told how far it has read its log: %s", error)
            self._thread = None
        _lines.add(self)

    def told_of(self, last_seq: int) -> Callable[[int], None]:
        """Return what takes note, for one thread, that the owner has got on with its log, which ends at `last_seq`; and how far."""
        self._last_seq = last_seq
        return self._has_read

    def _has_read(self, seq: int) -> None:
        self._seq = seq
        self._steps += 1

    def end(self) -> list[Waiter]:
        """Accept no more, and return those in line in their order. Called again, it returns none."""
        self._is_over = True
        self._waker.wake()
        if self._thread is not None:
            self._thread.join(LEAVE_S)
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        """End, and close what is in line."""
        for waiter in self.end():
            waiter.sock.close()

    def discard_after_fork(self) -> None:
        """In a forked child: close its copies, so that those in line see the owner's end; nothing was sent to them."""
        if self._is_over:
            return
        self._is_over, self._thread = True, None
        for waiter in self._waiting:
            waiter.sock.close()
        self._listener.sock.close()

    # --- the thread --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        look_s = 0.0
        while not self._is_over:
            poll = select.poll()
            poll.register(self._waker, select.POLLIN)
            if len(self._waiting) < LINE_MAX:
                poll.register(self._listener.sock, select.POLLIN)
            poll.poll(max(0.0, look_s - time.monotonic()) * 1000)
            self._waker.clear()
            self._accept()
            if time.monotonic() >= look_s:
                look_s = time.monotonic() + LOOK_S
                for waiter in list(self._waiting):
                    self._look_at(waiter)

    def _accept(self) -> None:
        while not self._is_over and len(self._waiting) < LINE_MAX and (sock := self._listener.accept()) is not None:
            self._waiting.append(Waiter(sock))

    def _look_at(self, waiter: Waiter) -> None:
        try:
            if not waiter.is_looked_at:
                self._find_out(waiter)
            if waiter.takes_reading and is_news(steps := self._steps, waiter.sent_steps):
                _send(waiter.sock, pack(Kind.READING, self._seq, self._last_seq))
                waiter.sent_steps = steps
        except (OSError, BadFrame) as error:
            logger.debug("a connection that waited in line is over: %s", error)
            self._waiting.remove(waiter)
            waiter.sock.close()

    def _find_out(self, waiter: Waiter) -> None:
        """Look at what a process said first, which is left where it is; except for the proof, which must be answered first of all.

        Raises:
            OSError: the connection has ended.
            BadFrame: it does not know the secret.
        """
        try:
            data = waiter.sock.recv(HELLO_MAX + LENGTH, socket.MSG_PEEK)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError
        try:
            kind, elements = next(Assembler(HELLO_MAX).feed(data))
        except StopIteration:
            return  # it is not complete
        except BadFrame:
            waiter.is_looked_at = True  # the server says so
            return
        if self._listener.secret and not waiter.is_proven:
            answer = proven(self._listener.secret, kind, elements)
            waiter.sock.recv(LENGTH + int.from_bytes(data[:LENGTH], "little"))
            waiter.is_proven = True
            _send(waiter.sock, answer)
            return
        waiter.is_looked_at = True
        has_rights = peer_of(waiter.sock)[1] in self._uids
        waiter.takes_reading = has_rights and kind is Kind.HELLO and elements[4:5] == [TAKES_READING]


def _send(sock: socket.socket, frame: bytes) -> None:
    """Send a frame; a peer that reads nothing is sent no more.

    Raises:
        OSError: the connection is gone, or would be left within a frame.
    """
    try:
        sent = sock.send(frame)
    except BlockingIOError:
        return
    if sent < len(frame):
        raise ConnectionResetError


def _in_a_forked_child() -> None:
    call_each(list(_lines), WaitingLine.discard_after_fork, FORKED)


register_at_fork(after_in_child=_in_a_forked_child)
