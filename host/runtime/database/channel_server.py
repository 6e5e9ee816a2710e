"""Serves connections to an owner whose log is in a database: rows in, bytes to the sessions' server, and back. One thread.

To the server each connection is a socket pair. What has come is passed on only when all that was published before it is taken in,
so that a client that publishes and then asks finds its message. When the database fails, all connections end; clients begin anew,
and ask again under the same ids.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from perdure.actors.sessions.listening.waker import Waker
from perdure.events.errors import OwnershipLost, PerdureError, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.sessions.server import Server
    from perdure.store.other_processes import Channels
    from perdure.store.values import ChannelPart

__all__ = ["ChannelServer"]

logger = GuardedLogger("perdure")

READ_BYTES = 256 << 10
SOONEST_S, LATEST_S = 0.002, 0.2
"""The pause between two looks doubles from the one to the other while nothing comes; then the hint is waited for."""
RETRY_S = 0.5
HOLD_S = 1.0
"""How long a question waits at most for what was published before it: the backlog may be full, and the question how to empty it."""
HOLD_LOOK_S = 0.004
CLOSE_S = 2.0
GONE = -1


class _Tunnel:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.read = 0
        """Parts that were passed on to the server."""
        self.sent = 0
        """Parts that were sent to the other process."""


class ChannelServer:
    """Serves from `start` to `close`.

    Args:
        channels: the owner's end of the connections.
        server: what answers them.
        hurry: has what others published be looked at now.
    """

    def __init__(self, channels: Channels, server: Server, hurry: Callable[[], None]) -> None:
        self._channels = channels
        self._server = server
        self._hurry = hurry
        self._tunnels: dict[int, _Tunnel] = {}
        self._waker = Waker()
        self._is_closing = False
        self._is_begun = False
        self._pause_s = SOONEST_S
        self._stuck = 0
        """Up to which row none is waited for any more."""
        self._thread = EnduringThread(self._run, "perdure-channels")
        channels.watch(self._waker.wake)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Send the server's last bytes, and end all connections. After the server's `close`; callable more than once."""
        self._is_closing = True
        self._waker.wake()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S)

    def discard_after_fork(self) -> None:
        """In a forked child: close the copies of its sockets."""
        self._is_closing = True
        for tunnel in self._tunnels.values():
            tunnel.sock.close()

    # --- the thread --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._end_all()  # where an exception interrupted it: what it had in hand is lost, so its peers connect again
        self._answer_all()
        self._end_all()
        self._channels.close()

    def _answer_all(self) -> None:
        while not self._is_closing:
            try:
                self._turn()
            except OwnershipLost:
                return
            except StoreUnavailable as error:
                self._end_all()
                if not self._is_closing:
                    logger.warning("clients cannot be answered through the database, it is tried again: %s", error)
                    self._wait(RETRY_S)
            except Exception:
                self._end_all()
                logger.exception("a turn of the connections through the database failed; it goes on")
                self._wait(RETRY_S)
        with contextlib.suppress(PerdureError):
            if self._is_begun and self._tunnels:
                out, over = self._outgoing(set(self._tunnels))
                self._channels.serve(out, [*{*over, *self._tunnels}])

    def _turn(self) -> None:
        if not self._is_begun:
            self._channels.begin()
            self._is_begun, self._pause_s = True, SOONEST_S
        ready = self._wait(self._pause_s)
        out, over = self._outgoing(ready)
        came = self._channels.serve(out, over)
        for channel in over:
            self._drop(channel)
        if came:
            self._hold_back()
            for part in came:
                self._pass_on(part)
        if came or out:
            self._pause_s = SOONEST_S
        elif self._pause_s < LATEST_S:
            self._pause_s = 2 * self._pause_s
        elif self._channels.rest():
            self._pause_s = self._channels.patience_s if self._tunnels else 3600.0

    def _wait(self, seconds: float) -> set[int]:
        """Wait for the waker or for bytes of the server, for so many seconds at most; return the connections with such bytes."""
        poll = select.poll()
        poll.register(self._waker, select.POLLIN)
        by_fd = {tunnel.sock.fileno(): channel for channel, tunnel in self._tunnels.items()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(seconds * 1000)}
        if self._waker.fileno() in ready:
            self._waker.clear()
            self._pause_s = SOONEST_S
        return {channel for fd, channel in by_fd.items() if fd in ready}

    def _outgoing(self, ready: set[int]) -> tuple[list[ChannelPart], list[int]]:
        """Return what the server has sent, and which connections it has closed."""
        out, over = [], []
        for channel in ready:
            tunnel = self._tunnels[channel]
            try:
                while data := tunnel.sock.recv(READ_BYTES, socket.MSG_DONTWAIT):
                    tunnel.sent += 1
                    out.append((channel, tunnel.sent, data, ""))
            except BlockingIOError:
                continue
            except OSError:
                pass
            over.append(channel)
        return out, over

    def _hold_back(self) -> None:
        """Wait until what was published by now is taken in."""
        newest, until_s = self._channels.newest_row(), time.monotonic() + HOLD_S
        while newest > self._stuck and self._channels.oldest_row(self._stuck) <= newest and not self._is_closing:
            if time.monotonic() >= until_s:
                self._stuck = newest
                return
            self._hurry()
            time.sleep(HOLD_LOOK_S)

    def _pass_on(self, part: ChannelPart) -> None:
        channel, number, body, role = part
        tunnel = self._tunnels.get(channel)
        if number == GONE:
            self._drop(channel)
            return
        if tunnel is None:
            ours, theirs = socket.socketpair()
            tunnel = self._tunnels[channel] = _Tunnel(ours)
            self._server.adopt(theirs, f"database, role {role}", f"database:{role}")
        tunnel.read += 1
        if number != tunnel.read:
            msg = f"part {number} of a connection came where {tunnel.read} is next"
            raise StoreUnavailable(msg)
        with contextlib.suppress(OSError):  # the server has closed it: the next turn finds out
            tunnel.sock.sendall(body)

    def _drop(self, channel: int) -> None:
        tunnel = self._tunnels.pop(channel, None)
        if tunnel is not None:
            tunnel.sock.close()

    def _end_all(self) -> None:
        self._is_begun = False
        for channel in [*self._tunnels]:
            self._drop(channel)
