"""`Peer`: one connection of the owner to another process, and the bytes that wait to be read by it.

`server` decides when it is read and written, `session` what is sent. An actor's thread may itself send the one answer that a peer
waits for; what it does then, and what is left of it if it is killed, is in `direct_answer`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from perdure.actors.core.actor import Actor
from perdure.actors.core.threads.current_actor import CURRENT
from perdure.actors.sessions.answers.direct_answer import DirectAnswer
from perdure.actors.sessions.framing.wire import HELLO_MAX, Assembler
from perdure.actors.sessions.member_work.begin_marks import MarkReader
from perdure.actors.sessions.session import Ended
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from perdure.actors.sessions.session import Session

__all__ = ["READ_BYTES", "Peer"]

SILENT_S = 60.0
"""How long a peer may leave unread what waits for it, or leave a frame that it has begun to send."""
HELLO_S = 10.0
"""How long a peer has to identify itself."""
READ_BYTES = 64 << 10
"""Bytes read from one peer before the others have their turn."""
TOGETHER_MAX = 64
"""Frames in one send."""
OUT_BYTES_MAX = 128 << 20
"""Bytes that wait to be read by one peer."""
CLOSE_S = 1.0
"""How long the end of a connection waits for an actor's thread that writes to it."""
WRITER = "writer"


class Peer:
    """One connection. Used in the server's thread alone, but for `is_queued` and `answer_now`."""

    session: Session

    def __init__(self, sock: socket.socket, pid: int, now_s: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        """Its number, also once it is closed."""
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
        self.is_attended = False
        """The server's thread is in the middle of something with it, or was when an exception interrupted it."""
        self.ends_begun = 0
        """How often its end was begun."""
        self.is_queued = False
        """It is among those that have answers. A thread that is killed before it puts the peer there costs it 0.25 s."""
        self.is_awaited = False
        """The server's thread has found an actor's thread writing: that one has it look again."""
        self._writers: dict[str, Peer | DirectAnswer] = {}
        """What writes, if anything: this peer for the server's thread, or an actor's answer. No lock: to become the writer and to
        record it is one step, so that what a killed thread was doing is known."""

    def overdue(self, now_s: float) -> PerdureError | None:
        """Return why its connection ends at this time, if it does: it says nothing, or does not read."""
        if not self.is_known:
            return PerdureError(f"the connection said nothing for {HELLO_S:g} s") if now_s > self.begun_s + HELLO_S else None
        if self.out and now_s > self.moved_s + SILENT_S:
            return PerdureError(f"{self.out_bytes:,} bytes of answers were not read for {SILENT_S:g} s")
        if self.frames.is_within and now_s > self.heard_s + SILENT_S:
            return PerdureError(f"half a frame came, and for {SILENT_S:g} s nothing of the rest")
        return None

    # --- which thread writes -----------------------------------------------------------------------------------------------

    def claim(self) -> bool:
        """Become the writer; return False while an actor's thread is. It says so to the server's thread when it has ended."""
        self.is_awaited = True
        writer = self._writers.setdefault(WRITER, self)
        if isinstance(writer, DirectAnswer):
            if not writer.is_over:
                return False
            self._take_over(writer)
        self.is_awaited = False
        return True

    def _take_over(self, left: DirectAnswer) -> None:
        """Go on in the place of an actor's thread that is dead, or could send a part only."""
        if left.sent:
            self.session.gone_out(left.answer)
            rest = memoryview(left.frame)[left.sent[0] :]
            if rest:  # before all that was put here meanwhile
                self.out.appendleft(rest)
                self.out_bytes += len(rest)
                self.moved_s = time.monotonic()
        self._writers[WRITER] = self

    def release(self) -> None:
        """Let actors' threads write again."""
        self._writers.clear()

    def answer_now(self) -> bool:
        """Send an answer in the thread of the actor that gives it, which spares waking the server's for it.

        Return whether it is done: it is the only one that the peer waits for, nothing waits before it, and no thread writes.
        """
        actor = CURRENT.actor
        if self.is_queued or self.out or not isinstance(actor, Actor):
            return False
        direct = DirectAnswer(actor.actor_stopped.is_set)
        if self._writers.setdefault(WRITER, direct) is not direct:
            return False
        try:
            found = None if self.out else self.session.only_answer()
            if found is not None:
                direct.answer, direct.frame = found
                direct.send(self.sock)
                if direct.is_partial:
                    return False  # it stays the writer until the server's thread takes over
                if direct.sent:
                    self.session.gone_out(direct.answer)
            self._writers.clear()
        except BaseException:
            direct.is_left = True  # what catches this may let the actor live
            raise
        return bool(direct.sent) and not self.is_awaited

    def close(self, farewell: bytes) -> None:
        """Close the connection, once no actor's thread writes to it; `farewell` is sent where it would not stand within a frame."""
        until_s = time.monotonic() + CLOSE_S
        while not self.claim():
            if time.monotonic() > until_s:  # its number must not pass to another socket meanwhile: closed when that thread drops it
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
                return
            time.sleep(0.001)
        if farewell and not self.out:
            with contextlib.suppress(OSError):
                self.sock.send(farewell)
        self.sock.close()

    # --- what comes and goes -----------------------------------------------------------------------------------------------

    def put(self, frame: bytes) -> None:
        """Add a frame to those that wait to be sent."""
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
