"""Which attempts a member's workers have begun, in memory that outlives the process: a mark costs it no system call.

The member makes the memory and sends its descriptor with its first frame; the owner reads it once the process is gone.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys

__all__ = ["BeginMarks", "MarkReader"]

SLOTS = 1 << 16
"""A mark's place is its message's number modulo this. If two attempts that are out share a place, the later mark stays, and the
other attempt counts as not begun, which is safe."""
MARK = 8
"""Bytes of a mark: the number, and behind it the lowest byte of the attempt."""
MFD_CLOEXEC, MFD_ALLOW_SEALING = 1, 2


def _mark(number: int, attempt: int) -> int:
    return ((number & ((1 << 56) - 1)) << 8) | (attempt & 255)


class BeginMarks:
    """The member's side. Safe in any thread.

    Raises:
        OSError, AttributeError: this system has no memory of the kind.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("perdure-begun", MFD_CLOEXEC | MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, SLOTS * MARK)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self._marks = memoryview(mmap.mmap(self.fd, SLOTS * MARK)).cast("Q")

    def mark(self, number: int, attempt: int) -> None:
        """Note that an attempt begins."""
        self._marks[number & (SLOTS - 1)] = _mark(number, attempt)

    def __del__(self) -> None:
        """Close the descriptor; the memory goes with its last user."""
        if fd := getattr(self, "fd", 0):
            os.close(fd)


class MarkReader:
    """The owner's side: reads, never maps, so that a peer that makes the file smaller does no harm.

    Args:
        fd: the descriptor that the peer sent; this closes it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def has_begun(self, number: int, attempt: int) -> bool:
        """Return whether an attempt has begun; False where the file does not say."""
        try:
            found = os.pread(self._fd, MARK, (number & (SLOTS - 1)) * MARK)
        except OSError:
            return False
        return int.from_bytes(found, sys.byteorder) == _mark(number, attempt)

    def close(self) -> None:
        """Close the descriptor."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
