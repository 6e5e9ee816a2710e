"""The way to an owner through its database: one end of a socket pair, and a thread that carries its bytes as rows, both ways.

What is said over it, and by which threads, is as over a folder's socket (`perdure.processes.to_owner.connection`).
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import weakref
from typing import TYPE_CHECKING

from perdure.events.loggers import GuardedLogger
from perdure.processes.to_owner.no_owner import NoAnswer
from perdure.processes.ways.way import Reached
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.processes.log_reading import Reading
    from perdure.store.other_processes import Channel

__all__ = ["DatabaseWay"]

logger = GuardedLogger("perdure")

READ_BYTES = 256 << 10
PARTS_MAX = 16
"""Sent at a time."""
REST_S = 1.0
"""How long at most a rest waits for a session of the database to end."""
IDLE_S = 10.0
"""A connection over which so long nothing went is ended: while anything is awaited, a sign of life goes each second."""


class DatabaseWay:
    """Reaches the owner of a partition. See `perdure.processes.ways.way.Way`."""

    pause_max_s = 1.0
    is_on_demand = True

    def __init__(self, connect: Callable[[], Channel], address: str) -> None:
        self._connect = connect
        self._address = address
        self._tunnels: weakref.WeakSet[_Tunnel] = weakref.WeakSet()
        self._newest: weakref.ref[_Tunnel] | None = None

    def __str__(self) -> str:
        """Name the log."""
        return self._address

    def reach(self) -> Reached:
        """See `Way.reach`.

        Raises:
            OSError: no process owns the partition, or the database cannot be reached.
        """
        channel = self._connect()
        ours, theirs = socket.socketpair()
        ours.settimeout(0.0)
        tunnel = _Tunnel(channel, theirs)
        self._tunnels.add(tunnel)
        self._newest = weakref.ref(tunnel)
        try:
            EnduringThread(tunnel.run, "perdure-tunnel").start()
        except RuntimeError as error:
            ours.close()
            theirs.close()
            raise OSError(str(error)) from error
        return Reached(ours)

    def why_no_answer(
        self,
        refusal: str,
        last_error: str,
        *,
        pid: int | None,  # noqa: ARG002 - as there
        is_connected: bool,
        reading: Reading | None = None,  # noqa: ARG002 - an owner in a database is reached once it has read the log
    ) -> NoAnswer:
        """See `Way.why_no_answer`."""
        if refusal:
            return NoAnswer(f"the owner of {self._address} refuses: {refusal.rstrip('.')}", "")
        if is_connected:
            return NoAnswer(
                f"the owner of {self._address} does not answer: it is busy, stopped, or cut off from the database",
                "Where it is gone, another one takes over once its lease has passed.",
            )
        return NoAnswer(f"no owner of {self._address} was reached: {last_error}", "Start a System on it; publishes wait there.")

    def rest(self) -> None:
        """See `Way.rest`: the session of the database is closed by then, unless it hangs."""
        tunnel = None if self._newest is None else self._newest()
        if tunnel is not None:
            tunnel.is_over.wait(REST_S)

    def discard_after_fork(self) -> None:
        """See `Way.discard_after_fork`."""
        tunnels, self._tunnels, self._newest = [*self._tunnels], weakref.WeakSet(), None
        for tunnel in tunnels:
            tunnel.sock.close()


class _Tunnel:
    def __init__(self, channel: Channel, sock: socket.socket) -> None:
        self._channel = channel
        self.sock = sock
        self._is_begun = False
        self.is_over = threading.Event()

    def run(self) -> None:
        """Carry bytes until either end closes, then close both; where an exception has interrupted it, only close them."""
        if not self._is_begun:
            self._is_begun = True
            try:
                self._carry()
            except OSError as error:
                logger.debug("a connection through the database is over: %s", error)
            except Exception:
                logger.exception("a connection through the database failed")
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)  # a forked child may have a copy
        self.sock.close()
        with contextlib.suppress(OSError):
            self._channel.leave()
        self.is_over.set()

    def _carry(self) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self._channel.fileno(), select.POLLIN)
        while True:
            ready = dict(poll.poll(IDLE_S * 1000))
            out = self._read() if self.sock.fileno() in ready else []
            if not ready or out is None:
                return
            came, is_over = self._channel.speak(out)
            for body in came:
                self.sock.sendall(body)
            if is_over:
                return

    def _read(self) -> list[bytes] | None:
        """Return what is to be sent; None: the connection was closed."""
        out: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(out) < PARTS_MAX:
                data = self.sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
                if not data:
                    return None
                out.append(data)
        return out
