"""A forked child that works on a store, tells over a socket what it does, and may die at any point of it.

What kills it, or makes its system calls fail, is in `syscalls` and `lines`; what it works on is in `workload`.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import time
import traceback
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tell = Callable[[str], None]
    Work = Callable[[Tell], None]

__all__ = ["Child", "Ended", "Stuck", "forked"]

PATIENCE_S = 30.0
_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)


class Stuck(AssertionError):
    """A child did not end in time; it was killed."""


@attrs.frozen
class Ended:
    """How a child ended, and what it told until then."""

    told: list[str]
    status: int
    """Its exit status; negative: the signal that killed it."""

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL


@attrs.define
class Child:
    """The parent's side: the child waits for `go`, so that it can be traced from its first step on."""

    pid: int
    _socket: socket.socket
    _reaped: bool = False

    def go(self) -> None:
        """Let it begin."""
        self._socket.sendall(b"go\n")

    def wait(self) -> Ended:
        """Hear all that it tells until it ends.

        Raises:
            Stuck: it did not end.
        """
        heard = bytearray()
        until_s = time.monotonic() + PATIENCE_S
        try:
            while True:
                self._socket.settimeout(max(until_s - time.monotonic(), 0.001))
                part = self._socket.recv(1 << 16)
                if not part:
                    break
                heard += part
        except ConnectionResetError:
            pass  # it died with a word of ours unread
        except TimeoutError:
            raise Stuck(f"the child did not end within {PATIENCE_S:.0f} s; it last told {heard.decode()[-500:]!r}") from None
        _, status = os.waitpid(self.pid, 0)
        self._reaped = True
        return Ended(heard.decode().splitlines(), os.waitstatus_to_exitcode(status))

    def close(self) -> None:
        """Let nothing of it stay behind."""
        self._socket.close()
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._reaped = True


@contextlib.contextmanager
def forked(work: Work) -> Iterator[Child]:
    """Fork a child that does `work` once it is let go. Not from a process with other threads: they are not in the child.

    An exception of the work is told as a line that begins with `crash`, and is exit status 1.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _be_child(work, theirs)
    theirs.close()
    child = Child(pid, ours)
    try:
        yield child
    finally:
        child.close()


class _Telling(logging.Handler):
    """Tells the parent what the store warns of."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(f"warning {record.getMessage()}")


def _tell_warnings(tell: Tell) -> None:
    logging.disable(logging.NOTSET)
    logger = logging.getLogger("perdure.store")
    logger.handlers, logger.propagate, logger.disabled = [_Telling(tell)], False, False


def _be_child(work: Work, parent: socket.socket) -> None:
    """Never returns: a child must not go on in the parent's code."""
    status = 1
    try:
        # Where only ancestors may trace (Yama), a strace that is the parent's other child may not, unless told so.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)

        def tell(line: str) -> None:
            parent.send(f"{line}\n".encode())

        _tell_warnings(tell)

        if not parent.recv(3):
            return  # the parent is gone
        try:
            work(tell)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is to hear of it
            tell("crash " + traceback.format_exc().replace("\n", " | "))
    finally:
        os._exit(status)
