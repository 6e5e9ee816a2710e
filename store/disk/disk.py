"""Every file operation of the store, one method each, so that a recording or failing disk can replace the real one.

No format and no rule lives here: only system calls, each checked.
"""

from __future__ import annotations

import errno
import fcntl
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
    """The real disk. Safe in any thread, except that one owner at a time opens a folder.

    All methods raise OSError as the system reports it. Files are created with mode 0600, folders with 0700; links are not followed.
    Paths in the opened folder are looked up in that folder, wherever it has been moved to.
    """

    identity_check_s = 0.02
    """How often, in seconds, an owner checks that its folder was not moved while it writes frames without a sync between them. A
    check takes a system call, which is little beside a sync but much beside a write alone."""
    _opened: OpenedFolder | None = None

    def open_folder(self, folder: Path) -> None:
        """Open a folder. From now on, paths in it are looked up relative to its descriptor."""
        self._opened = OpenedFolder(folder)

    def release_folder(self, folder: Path) -> None:
        """Close the opened folder. From now on, paths in it are looked up by its name again."""
        opened = self._opened
        if opened is not None and opened.path == folder:
            self._opened = None
            opened.release()

    def folder_problem(self, folder: Path, /) -> str:
        """Return why the name of the opened folder no longer leads to it; empty if it does, or if none is open."""
        opened = self._opened
        return opened.problem() if opened is not None and opened.path == folder else ""

    def status(self, path: Path) -> FileStatus | None:
        """Return which file a path leads to and its size; None if there is none."""
        name, opened = self._at(path)
        try:
            return FileStatus.of(os.stat(name, dir_fd=opened.fd if opened else None, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def folder_status(self, folder: Path) -> FileStatus | None:
        """Return which folder a path leads to by its name, following links; None if there is none."""
        try:
            return FileStatus.of(os.stat(folder))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_unchanged(self, path: Path, status: FileStatus, size: int) -> bool:
        """Return whether a path in the opened folder still leads to a file of a size; False if unknown. One system call."""
        opened = self._opened
        return opened is not None and opened.is_unchanged(path, status, size)

    def is_same_folder(self, one: Path, other: Path) -> bool:
        """Return whether two paths lead to one folder, following links."""
        (name, opened), (other_name, other_folder) = self._at(one), self._at(other)
        return os.path.samestat(
            os.stat(name, dir_fd=opened.fd if opened else None),
            os.stat(other_name, dir_fd=other_folder.fd if other_folder else None),
        )

    def modified_s(self, path: Path) -> float | None:
        """Return when a file was last changed, in seconds since the epoch; None if there is none."""
        name, opened = self._at(path)
        try:
            return os.stat(name, dir_fd=opened.fd if opened else None, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return None

    def touch(self, path: Path) -> None:
        """Make now the time at which a file was last changed."""
        name, opened = self._at(path)
        os.utime(name, dir_fd=opened.fd if opened else None, follow_symlinks=False)

    def open_status(self, fd: int) -> FileStatus:
        """Return which file a descriptor refers to, and its size."""
        return FileStatus.of(os.fstat(fd))

    def _at(self, path: Path) -> tuple[str | Path, OpenedFolder | None]:
        """Return a name and the folder to look it up in (None: use the path as it is), which stays open while referred to."""
        opened = self._opened
        name = opened.within(path) if opened is not None else None
        return (path, None) if name is None else (name, opened)

    def open_in(self, path: Path, flags: int, mode: int = 0o600) -> int:
        """Open a file or folder and return its descriptor; a link is refused."""
        name, opened = self._at(path)
        return os.open(name, flags | _NO_FOLLOW, mode, dir_fd=opened.fd if opened else None)

    def lock(self, folder: Path, /) -> FolderLock:
        """Return the lock of a data folder, not yet taken."""
        return FolderLock(folder, self.open_in)

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents with mode 0700 whatever the umask; existing ones are left as they are."""
        name, opened = self._at(path)
        if opened is None:
            for folder in (*reversed(path.parents), path):  # `parents=True` would give the parents the umask's mode
                if folder.is_dir():
                    continue
                try:
                    folder.mkdir(mode=0o700, exist_ok=True)
                except FileExistsError as error:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
            return
        try:
            os.mkdir(name, 0o700, dir_fd=opened.fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=opened.fd).st_mode):
                raise

    def open_to_others(self, folder: Path) -> str | None:
        """Return how users other than its owner could change a folder; None if they could not."""
        return open_to_others(folder)

    def names(self, folder: Path, /) -> list[str]:
        """Return the names in a folder."""
        name, opened = self._at(folder)
        while True:
            try:
                return os.listdir(folder) if opened is None else opened.names(str(name))
            except InterruptedError:
                continue  # CPython repeats interrupted calls (PEP 475), but not this one

    def create(self, path: Path) -> int:
        """Create a file that must not exist, and return its descriptor for writing."""
        return self.open_in(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)

    def open_append(self, path: Path) -> int:
        """Open a file and return its descriptor for writing at its end."""
        return self.open_in(path, os.O_WRONLY | os.O_APPEND)

    def open_read(self, path: Path) -> BinaryIO:
        """Return a regular file, open for buffered reading."""
        name, opened = self._at(path)
        within = opened.fd if opened else None
        status = os.stat(name, dir_fd=within, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # Opened and owned in one step, unlike `os.open` and `os.fdopen`: an actor killed between the two would leak a descriptor.
        raw = io.FileIO(str(name), "rb", opener=partial(os.open, dir_fd=within))
        if not os.path.samestat(status, os.fstat(raw.fileno())):
            raw.close()
            raise OSError(errno.ELOOP, "it was replaced while it was opened", str(path))
        return io.BufferedReader(raw, 1 << 18)

    def open_claimed(self, path: Path) -> BinaryIO | None:
        """Return a file, open for reading and claimed until it is closed; None where another has claimed it."""
        file = self.open_read(path)
        if self.claim(file.fileno()):
            return file
        file.close()
        return None

    def claim(self, fd: int, /) -> bool:
        """Lock an open file against every claim through another descriptor; return False where one has. Does not wait."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def let_go(self, fd: int) -> None:
        """Release the claim on an open file."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of `data`; a short write is continued until the system gives a reason."""
        written = 0
        while written < len(data):
            more = os.write(fd, data[written:] if written else data)
            if not more:  # no reason given: repeating it might never end
                raise OSError(errno.EIO, "a write wrote nothing")
            written += more

    def sync_data(self, fd: int) -> None:
        """Make a file's bytes outlast a power cut. After a failure, a second call could succeed falsely."""
        os.fdatasync(fd)

    def sync(self, fd: int) -> None:
        """Make a file's bytes and metadata outlast a power cut."""
        os.fsync(fd)

    def sync_file(self, path: Path) -> None:
        """Make a file's bytes outlast a power cut, whichever process wrote them."""
        fd = self.open_in(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_folder(self, path: Path, /) -> None:
        """Make a folder's names outlast a power cut."""
        fd = self.open_in(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def forget_cached(self, fd: int) -> None:
        """Make the next read come from the disk: after a failed sync the cache may hold bytes that the disk lacks."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to a size in bytes, and sync it."""
        fd = self.open_in(path, os.O_WRONLY)
        try:
            os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def cut(self, fd: int, size: int) -> None:
        """Cut an open file to a size in bytes, without a sync."""
        os.ftruncate(fd, size)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file; one that has the new name is replaced."""
        name, opened = self._at(old)
        new_name, new_folder = self._at(new)
        os.rename(name, new_name, src_dir_fd=opened.fd if opened else None, dst_dir_fd=new_folder.fd if new_folder else None)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        name, opened = self._at(path)
        os.unlink(name, dir_fd=opened.fd if opened else None)

    def size(self, path: Path) -> int:
        """Return a file's size in bytes."""
        name, opened = self._at(path)
        return os.stat(name, dir_fd=opened.fd if opened else None, follow_symlinks=False).st_size

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)
