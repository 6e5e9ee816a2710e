"""Every file operation of the store, one method each, so that a recording or failing disk can stand in for the real one.

No format and no rule: only system calls, each checked.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from perdure.store.lock import FolderLock

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Disk"]

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Disk:
    """The real disk. All methods raise OSError as the system reports it; files are 0600, folders 0700, links not followed."""

    def lock(self, folder: Path) -> FolderLock:
        """Give the lock of a data folder, not yet taken."""
        return FolderLock(folder)

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents; one that is there is left as it is."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        """List a folder."""
        while True:
            try:
                return os.listdir(folder)
            except InterruptedError:
                continue  # CPython makes interrupted calls again (PEP 475), but not this one

    def create(self, path: Path) -> int:
        """Create a file that must not be there, for writing; gives its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _NO_FOLLOW, 0o600)

    def open_append(self, path: Path) -> int:
        """Open a file for writing at its end."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | _NO_FOLLOW)

    def open_read(self, path: Path) -> BinaryIO:
        """Open a regular file for buffered reading."""
        seen = os.lstat(path)
        if stat.S_ISLNK(seen.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # Opened and owned in one step, unlike `os.open` and `os.fdopen`: an actor killed between them left a descriptor behind.
        raw = io.FileIO(path, "rb")
        if not os.path.samestat(seen, os.fstat(raw.fileno())):
            raw.close()
            raise OSError(errno.ELOOP, "it was replaced while it was opened", str(path))
        return io.BufferedReader(raw, 1 << 18)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of `data`; a short write is carried on with, until the system says why."""
        written = 0
        while written < len(data):
            more = os.write(fd, data[written:] if written else data)
            if not more:  # no reason given, and no end to it if it were only tried again
                raise OSError(errno.EIO, "a write wrote nothing")
            written += more

    def sync_data(self, fd: int) -> None:
        """Make a file's bytes outlast a power cut. After a failure, a second call would lie."""
        os.fdatasync(fd)

    def sync(self, fd: int) -> None:
        """Make a file's bytes and metadata outlast a power cut."""
        os.fsync(fd)

    def sync_folder(self, path: Path) -> None:
        """Make a folder's names outlast a power cut."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def forget_cached(self, fd: int) -> None:
        """Have the system read the file from the disk next time: after a failed sync its cache may hold what the disk lacks."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file."""
        fd = os.open(path, os.O_WRONLY | _NO_FOLLOW)
        try:
            os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def cut(self, fd: int, size: int) -> None:
        """Cut an open file."""
        os.ftruncate(fd, size)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file, over another one if need be."""
        os.rename(old, new)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)

    def size(self, path: Path) -> int:
        """Give a file's size in bytes."""
        return os.stat(path, follow_symlinks=False).st_size

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)
