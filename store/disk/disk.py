"""Every file operation of the store, one method each, so that a recording or failing disk can stand in for the real one.

No format and no rule: only system calls, each checked.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from perdure.store.disk.folder_lock import FolderLock
from perdure.store.disk.opened_folder import FileStatus, OpenedFolder
from perdure.store.disk.permissions import open_to_others

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Disk"]

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Disk:
    """The real disk. All methods raise OSError as the system reports it; files are 0600, folders 0700, links not followed.

    Paths in the folder that is opened are looked up in that very folder, wherever it has been moved to.
    """

    identity_check_s = 0.02
    """How often an owner looks whether its folder has moved, while it writes frames that no sync comes between. A look takes a
    system call: little beside a sync, much beside a write alone."""
    _opened: OpenedFolder | None = None

    def open_folder(self, folder: Path) -> None:
        """Open a folder, and from now on look up what lies in it relative to that."""
        self._opened = OpenedFolder(folder)

    def release_folder(self, folder: Path) -> None:
        """Look up what lies in a folder by its name again."""
        opened = self._opened
        if opened is not None and opened.path == folder:
            self._opened = None
            opened.release()

    def folder_problem(self, folder: Path) -> str:
        """Tell why the name of the opened folder does not lead to it any more; empty where it does, or nothing is opened."""
        opened = self._opened
        return opened.problem() if opened is not None and opened.path == folder else ""

    def status(self, path: Path) -> FileStatus | None:
        """Tell which file a name leads to; None for none."""
        name, opened = self._at(path)
        try:
            return FileStatus.of(os.stat(name, dir_fd=opened.fd if opened else None, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def is_unchanged(self, path: Path, seen: FileStatus, size: int) -> bool:
        """Tell, in one system call, whether a file in the opened folder is still under both names and so long; False if unsure."""
        opened = self._opened
        return opened is not None and opened.is_unchanged(path, seen, size)

    def is_same_folder(self, one: Path, other: Path) -> bool:
        """Tell whether two paths lead to one folder, links followed."""
        (name, opened), (other_name, other_folder) = self._at(one), self._at(other)
        return os.path.samestat(
            os.stat(name, dir_fd=opened.fd if opened else None),
            os.stat(other_name, dir_fd=other_folder.fd if other_folder else None),
        )

    def modified_s(self, path: Path) -> float | None:
        """Tell when a file was changed last, in seconds since the epoch; None if there is none."""
        name, opened = self._at(path)
        try:
            return os.stat(name, dir_fd=opened.fd if opened else None, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return None

    def open_status(self, fd: int) -> FileStatus:
        """Tell which file a descriptor stands for."""
        return FileStatus.of(os.fstat(fd))

    def _at(self, path: Path) -> tuple[str | Path, OpenedFolder | None]:
        """Give a name and the folder in which it is to be looked up (None: as it stands). It stays open while it is referred to."""
        opened = self._opened
        name = opened.within(path) if opened is not None else None
        return (path, None) if name is None else (name, opened)

    def open_in(self, path: Path, flags: int, mode: int = 0o600) -> int:
        """Open what a path leads to, no link."""
        name, opened = self._at(path)
        return os.open(name, flags | _NO_FOLLOW, mode, dir_fd=opened.fd if opened else None)

    def lock(self, folder: Path) -> FolderLock:
        """Give the lock of a data folder, not yet taken."""
        return FolderLock(folder, self.open_in)

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents, for their owner alone whatever the umask; one that is there is left as it is."""
        name, opened = self._at(path)
        if opened is None:
            for folder in (*reversed(path.parents), path):  # `parents=True` would give those in between the umask's mode
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, exist_ok=True)
            return
        try:
            os.mkdir(name, 0o700, dir_fd=opened.fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=opened.fd).st_mode):
                raise

    def open_to_others(self, folder: Path) -> str | None:
        """Tell how others than its owner could change a folder; None where they could not."""
        return open_to_others(folder)

    def names(self, folder: Path) -> list[str]:
        """List a folder."""
        name, opened = self._at(folder)
        while True:
            try:
                return os.listdir(folder) if opened is None else opened.names(str(name))
            except InterruptedError:
                continue  # CPython makes interrupted calls again (PEP 475), but not this one

    def create(self, path: Path) -> int:
        """Create a file that must not be there, for writing; gives its descriptor."""
        return self.open_in(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)

    def open_append(self, path: Path) -> int:
        """Open a file for writing at its end."""
        return self.open_in(path, os.O_WRONLY | os.O_APPEND)

    def open_read(self, path: Path) -> BinaryIO:
        """Open a regular file for buffered reading."""
        name, opened = self._at(path)
        within = opened.fd if opened else None
        seen = os.stat(name, dir_fd=within, follow_symlinks=False)
        if stat.S_ISLNK(seen.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # Opened and owned in one step, unlike `os.open` and `os.fdopen`: an actor killed between them left a descriptor behind.
        raw = io.FileIO(str(name), "rb", opener=partial(os.open, dir_fd=within))
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
        fd = self.open_in(path, os.O_RDONLY | os.O_DIRECTORY)
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
        fd = self.open_in(path, os.O_WRONLY)
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
        name, opened = self._at(old)
        new_name, new_folder = self._at(new)
        os.rename(name, new_name, src_dir_fd=opened.fd if opened else None, dst_dir_fd=new_folder.fd if new_folder else None)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        name, opened = self._at(path)
        os.unlink(name, dir_fd=opened.fd if opened else None)

    def size(self, path: Path) -> int:
        """Give a file's size in bytes."""
        name, opened = self._at(path)
        return os.stat(name, dir_fd=opened.fd if opened else None, follow_symlinks=False).st_size

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)
