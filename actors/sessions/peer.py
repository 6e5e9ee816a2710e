"""`Peer`: one connection of the owner to another process, and the bytes that wait to be read by it.

When it is read and written is up to the `server`, what is said on it up to its `session`.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from perdure.actors.sessions.begin_marks import MarkReader
from perdure.actors.sessions.framing.wire import HELLO_MAX, Assembler
from perdure.actors.sessions.session import Ended
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from perdure.actors.sessions.session import Session

__all__ = ["READ_BYTES", "Peer"]

READ_BYTES = 64 << 10
"""Bytes read from one peer before the others have their turn. With a larger buffer the allocator may map and unmap it each time."""
TOGETHER_MAX = 64
"""Frames in one send."""
OUT_BYTES_MAX = 128 << 20
"""Bytes that wait to be read by one peer."""


class Peer:
    """One connection. Used in the server's thread alone, but for `is_queued`."""

    session: Session

    def __init__(self, sock: socket.socket, pid: int, now_s: float) -> None:
        self.sock = sock
        self.pid = pid
        self.frames = Assembler(HELLO_MAX)
        self.out: deque[memoryview] = deque()
        self.out_bytes = 0
        self.moved_s = now_s
        """When it last took something of what waited for it."""
        self.begun_s = self.heard_s = now_s
        self.is_known = False
        self.is_proven = True
        """It need not prove any more that it knows the owner's secret."""
        self.awaits = select.POLLIN
        """What its socket is watched for."""
        self.is_queued = False
        """It is among those that have answers. A thread that is killed before it puts the peer there costs it 0.25 s."""

    def put(self, frame: bytes) -> None:
        """Have a frame wait until it is sent."""
        if not self.out:
            self.moved_s = time.monotonic()
        self.out.append(memoryview(frame))
        self.out_bytes += len(frame)

    def send(self) -> None:
        """Send as much of what waits as the connection takes now.

        Raises:
            Ended: too much waits.
            OSError: the connection is gone.
        """
        out = self.out
        while out:
            try:  # together: each send would wake the peer
                sent = self.sock.sendmsg(list(islice(out, TOGETHER_MAX)))
            except BlockingIOError:
                break
            self.moved_s = time.monotonic()
            self.out_bytes -= sent
            while out and sent >= len(out[0]):
                sent -= len(out.popleft())
            if sent:
                out[0] = out[0][sent:]
        if self.out_bytes > OUT_BYTES_MAX:
            raise Ended(PerdureError(f"{self.out_bytes:,} bytes of answers wait to be read, and {OUT_BYTES_MAX:,} is the most"))

    def receive_first(self) -> bytes:
        """Return its first bytes; a descriptor that comes with them is that of its marks."""
        data, descriptors, _, _ = socket.recv_fds(self.sock, READ_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        for fd in descriptors:
            if self.session.marks is None:
                self.session.marks = MarkReader(fd)
            else:
                os.close(fd)
        return data
