"""The lock of a data folder: operating-system locks on the folder and on a file in it that names the owner's pid and boot id.

The operating system releases the locks when their process dies; the file's content is for the error message. The lock on the folder
still holds if the file was removed or replaced. The lock on the file holds on file systems that cannot lock folders, and against
older versions of perdure.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.events.errors import StoreLocked, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.advice import with_advice
from perdure.store.disk.each_alone import FORKED, call_each

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FolderLock", "live_owner"]

logger = GuardedLogger("perdure.store")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()
_guard = threading.Lock()


class FolderLock:
    """The lock of one folder. A forked child does not keep it. Safe in any thread."""

    def __init__(self, folder: Path, open_in: Callable[[Path, int], int]) -> None:
        self.path = folder / "owner.lock"
        self._open_in = open_in
        self._fd: int | None = None
        self._folder_fd: int | None = None

    def take(self) -> None:
        """Take the lock without waiting.

        Raises:
            StoreLocked: another process or another store object holds it; the error names the pid.
            StoreUnavailable: the file cannot be opened.
        """
        fds: list[int] = []
        try:
            fds.append(self._open_in(self.path.parent, os.O_RDONLY | os.O_DIRECTORY))
            is_free = _lock_folder(fds[0])
            fds.append(self._open_in(self.path, os.O_RDWR | (os.O_CREAT if is_free else 0)))
            is_free = _lock_file(fds[1]) and is_free
        except OSError as error:
            is_free = False
            if not (fds and isinstance(error, FileNotFoundError)):  # the folder is locked, and the file in it was removed
                _close(fds)
                msg = f"the lock file {self.path} cannot be opened: {with_advice(error)}."
                raise StoreUnavailable(msg) from error
        if not is_free:
            pid = _owner(fds[1]) if len(fds) > 1 else None
            _close(fds)
            raise StoreLocked(_in_use(self.path.parent, pid), pid)
        folder_fd, fd = fds
        _note_owner(fd, self.path)
        self._fd, self._folder_fd = fd, folder_fd
        with _guard:
            _held.add(self)

    def drop(self) -> None:
        """Release the lock if it is held."""
        with _guard:
            fd, self._fd = self._fd, None
            folder_fd, self._folder_fd = self._folder_fd, None
            _held.discard(self)
        if fd is not None:
            try:
                os.ftruncate(fd, 0)  # no process has it now: see `live_owner`
            except OSError as error:
                logger.warning("%s is released, but still names this process: %s", self.path, error)
            os.close(fd)
        if folder_fd is not None:
            os.close(folder_fd)

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._fd is not None

    def forget(self) -> None:
        """Close the descriptors in a forked child, which leaves the parent's locks as they are."""
        fds, self._fd, self._folder_fd = (self._fd, self._folder_fd), None, None
        call_each([fd for fd in fds if fd is not None], os.close, FORKED)


def live_owner(folder: Path) -> int | None:
    """Return the pid of the process that seems to own a folder, without touching its lock; None if there seems to be none.

    For readers, which only decide whether to read again. An owner in another container, for example, is not visible.
    """
    try:
        noted = json.loads((folder / "owner.lock").read_bytes())
        pid = int(noted["pid"])
        if noted["boot_id"] != _boot_id():
            return None
    except (ValueError, KeyError, TypeError, OSError):
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (OverflowError, OSError):
        return None
    return pid


def _lock_folder(fd: int) -> bool:
    """Lock a folder itself; return False if another process holds it. Some file systems cannot: there only the file is locked."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.debug("folders cannot be locked here, only the file in it is: %s", error)
    return True


def _lock_file(fd: int) -> bool:
    """Lock a file; return False if another process holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""


def _in_use(folder: Path, pid: int | None) -> str:
    """Return the error text: which process uses the folder, and what to do."""
    reading = "To only read the folder, use perdure.Audit or `perdure stats`."
    if pid == os.getpid():
        return (
            f"the data folder {folder} is in use by this very process. Use the System that runs in it, "
            f"perdure.System.live({str(folder)!r}), whose handlers `replace=True` registers again (in a notebook, say), or stop it "
            f"first. {reading}"
        )
    holder = f"process {pid}" if pid else "another process"
    return (
        f"the data folder {folder} is in use by {holder}. Start both with `shared=True` (or `perdure serve {folder}`), publish "
        f"through it with `perdure.connect({str(folder)!r})`, or stop it and try again. {reading}"
    )


def _note_owner(fd: int, path: Path) -> None:
    """Write this process's pid into the lock file. If that fails, the lock holds; `StoreLocked` lacks the pid."""
    try:
        os.ftruncate(fd, 0)  # first, so that no dead owner is ever named
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "boot_id": _boot_id()}).encode(), 0)
    except OSError as error:
        logger.warning("%s is locked, but the pid could not be written into it: %s", path, error)


def _owner(fd: int) -> int | None:
    try:
        return int(json.loads(os.pread(fd, 4096, 0))["pid"])
    except (ValueError, KeyError, TypeError, OSError):
        return None  # the owner is just writing it, or could not write it


def _after_fork() -> None:
    global _guard  # noqa: PLW0603 - a thread that the child lacks may have held it
    _guard = threading.Lock()
    call_each(list(_held), FolderLock.forget, FORKED)


os.register_at_fork(after_in_child=_after_fork)
