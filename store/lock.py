"""Who owns a data folder: an operating-system lock on one file, with the owner's pid and boot inside.

The lock is the system's and dies with its process; what stands in the file is only for the error message.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import weakref
from pathlib import Path

from perdure.events.errors import StoreLocked, StoreUnavailable

__all__ = ["FolderLock"]

logger = logging.getLogger("perdure.store")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()
_guard = threading.Lock()


class FolderLock:
    """The lock on one folder. A forked child does not keep it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "owner.lock"
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock without waiting.

        Raises:
            StoreLocked: another process or another store object has it; names the pid.
            StoreUnavailable: the file cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(self.path, flags, 0o600)
        except OSError as error:
            msg = f"the lock file {self.path} cannot be opened: {error.strerror}. Check the folder's permissions."
            raise StoreUnavailable(msg) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _owner(fd)
            os.close(fd)
            raise StoreLocked(_in_use(self.path.parent, pid), pid) from error
        _note_owner(fd, self.path)
        self._fd = fd
        with _guard:
            _held.add(self)

    def drop(self) -> None:
        """Let the lock go, where it is held."""
        with _guard:
            fd, self._fd = self._fd, None
            _held.discard(self)
        if fd is not None:
            os.close(fd)

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._fd is not None

    def forget(self) -> None:
        """In a forked child: close the descriptor, which leaves the parent's lock as it is."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _in_use(folder: Path, pid: int | None) -> str:
    """Say who has a folder, and all the ways out."""
    reading = "To only read it, use perdure.Audit or `perdure stats`, which take no lock."
    if pid == os.getpid():
        return (
            f"the data folder {folder} is in use by this very process. perdure.System.live({str(folder)!r}) gives the System that "
            "runs in it (started by an earlier notebook cell, perhaps): go on with that one, whose handlers can be registered anew "
            f"with replace=True, or call its stop() and start another. {reading}"
        )
    whose = f"process {pid}" if pid else "another process"
    return (
        f"the data folder {folder} is in use by {whose}. Publish in that process, or stop it and try again (the folder is free as "
        f"soon as it has ended, whatever ended it), or use another folder, or hand messages over through an Outbox. {reading}"
    )


def _note_owner(fd: int, path: Path) -> None:
    """Write who has the lock. A full disk does not undo it: only the message of `StoreLocked` will be poorer."""
    try:
        os.ftruncate(fd, 0)  # before all else, so that no dead owner is ever named
        boot = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "boot_id": boot}).encode(), 0)
    except OSError as error:
        logger.warning("%s is locked, but who has it could not be written into it: %s", path, error)


def _owner(fd: int) -> int | None:
    try:
        return int(json.loads(os.pread(fd, 4096, 0))["pid"])
    except (ValueError, KeyError, TypeError, OSError):
        return None  # the owner is just writing it, or could not


def _after_fork() -> None:
    global _guard  # noqa: PLW0603 - a thread that is gone may have held it
    _guard = threading.Lock()
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_after_fork)
