"""One connection to the owner of a folder: its socket, and the frames that are half read or half written.

`connection` decides when it is read and written, and by which thread; `exchange` makes the frames, and takes them in.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.actors.sessions.framing.wire import Assembler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.actors.sessions.framing.wire import Kind
    from perdure.actors.sessions.listening.loopback import Proof

__all__ = ["Link"]

READ_BYTES = 64 << 10


class Link:
    """A socket that does not block. One thread at a time reads, one writes, and the connection's own thread closes.

    A thread may be interrupted anywhere (`KeyboardInterrupt`). So the marks below are set before bytes are taken from the socket or
    given to it, and removed once all is done with them: whichever thread finds one set ends the connection. What has no answer is
    then asked anew.
    """

    def __init__(self, sock: socket.socket, first: bytes, proof: Proof | None = None) -> None:
        self.sock = sock
        self.proof = proof
        """What the other end has to prove first; None: nothing, or no more."""
        self.out: deque[memoryview] = deque([memoryview(first)])
        self.is_reading = False
        self.is_writing = False
        self.broken = ""
        """Why it is to be closed."""
        self._assembler = Assembler()
        self._read_bytes = bytearray(READ_BYTES)
        """Where what comes is read to, each time: a buffer made and cut anew would cost more than an answer does."""
        self._readable = _readable(sock)

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read; return whether there is. A signal handler may call it within another call."""
        try:
            return bool(self._readable.poll(seconds * 1000))
        except RuntimeError:  # the same thread polls beneath
            return bool(_readable(self.sock).poll(seconds * 1000))

    def read(self) -> Iterator[tuple[Kind, list[Any]]]:
        """Yield the frames that have come.

        Raises:
            OSError: the connection has ended.
            BadFrame: what came is no frame.
        """
        try:
            size = self.sock.recv_into(self._read_bytes)
        except BlockingIOError:
            return
        if not size:
            msg = "the owner closed the connection"
            raise ConnectionResetError(msg)
        for kind, elements in self._assembler.feed(memoryview(self._read_bytes)[:size]):
            if self.proof is None:
                yield kind, elements
            else:
                self.proof.check(kind, elements)
                self.proof = None

    def write(self) -> None:
        """Write as much of `out` as the socket takes.

        Raises:
            OSError: the connection has ended.
        """
        out = self.out
        while out:
            try:
                sent = self.sock.send(out[0])
            except BlockingIOError:
                return
            if sent < len(out[0]):
                out[0] = out[0][sent:]
            else:
                out.popleft()

    def end(self, why: str) -> None:
        """Mark it as broken, and wake the thread that waits to read. In any thread; it is closed by the connection's own."""
        self.broken = self.broken or why
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


def _readable(sock: socket.socket) -> select.poll:
    """Return a poll object that is ready when there is something to read."""
    made = select.poll()
    made.register(sock, select.POLLIN)
    return made
