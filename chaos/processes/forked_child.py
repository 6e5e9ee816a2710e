"""A forked child that works on a store, reports its steps over a socket, and may die at any point.

What kills it or makes its system calls fail is in `syscalls` and `kill_lines`; its work is in `disk.workload`.
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

    Report = Callable[[str], None]
    Work = Callable[[Report], None]

__all__ = ["Child", "Ended", "Stuck", "forked"]

CHILD_TIMEOUT_S = 30.0
_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)


class Stuck(AssertionError):
    """A child did not end in time; it was killed."""


@attrs.frozen
class Ended:
    """How a child ended, and what it reported until then."""

    reports: list[str]
    status: int
    """Its exit status; if negative, the signal that killed it."""

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL


@attrs.define
class Child:
    """A child seen from its parent. It waits for `go`, so that it can be traced from its first step on."""

    pid: int
    _socket: socket.socket
    _reaped: bool = False

    def go(self) -> None:
        """Let it begin."""
        self._socket.sendall(b"go\n")

    def wait(self) -> Ended:
        """Wait until it ends, and return its reports.

        Raises:
            Stuck: it did not end within `CHILD_TIMEOUT_S`.
        """
        received = bytearray()
        until_s = time.monotonic() + CHILD_TIMEOUT_S
        try:
            while True:
                self._socket.settimeout(max(until_s - time.monotonic(), 0.001))
                part = self._socket.recv(1 << 16)
                if not part:
                    break
                received += part
        except ConnectionResetError:
            pass  # it died before it read what we sent
        except TimeoutError:
            raise Stuck(
                f"the child did not end within {CHILD_TIMEOUT_S:.0f} s; last reports: {received.decode()[-500:]!r}"
            ) from None
        _, status = os.waitpid(self.pid, 0)
        self._reaped = True
        return Ended(received.decode().splitlines(), os.waitstatus_to_exitcode(status))

    def close(self) -> None:
        """Close the socket; kill and reap the child if it has not ended."""
        self._socket.close()
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._reaped = True


@contextlib.contextmanager
def forked(work: Work) -> Iterator[Child]:
    """Fork a child that does `work` after `go`. Do not call it in a process with other threads: the child would not have them.

    An exception of the work is reported as a line that begins with `crash`, and gives exit status 1.
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


class _WarningReports(logging.Handler):
    """Reports the store's warnings to the parent."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        self._report(f"warning {record.getMessage()}")


def _report_warnings(report: Report) -> None:
    logging.disable(logging.NOTSET)
    logger = logging.getLogger("perdure.store")
    logger.handlers, logger.propagate, logger.disabled = [_WarningReports(report)], False, False


def _be_child(work: Work, parent: socket.socket) -> None:
    """Do the work and end the process. Never returns: a child must not go on in the parent's code."""
    status = 1
    try:
        # Under Yama only ancestors may trace, and strace is a sibling of this process: it needs this permission.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)

        def report(line: str) -> None:
            parent.send(f"{line}\n".encode())

        _report_warnings(report)

        if not parent.recv(3):
            return  # the parent has ended
        try:
            work(report)
            status = 0
        except BaseException:  # noqa: BLE001 - the parent must know of any failure
            report("crash " + traceback.format_exc().replace("\n", " | "))
    finally:
        os._exit(status)
