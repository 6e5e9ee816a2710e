"""An opened folder: names are looked up in it wherever it is moved to, and it tells whether its own name still leads to it.

No rule about what to do where it does not: that is in `standing`.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

__all__ = ["FileStatus", "OpenedFolder"]


@attrs.frozen
class FileStatus:
    """Which file a name leads to, or a descriptor stands for, and how long that is."""

    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileStatus:
        """Take what counts from a file's status."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size)

    def is_same_file(self, other: FileStatus) -> bool:
        """Tell whether both are one file, whatever its size is now."""
        return self.device == other.device and self.inode == other.inode


class OpenedFolder:
    """An open folder. Its descriptor stays taken until the last reference is gone, so that no call can meet a reused one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = self._null = -1
        self._name = os.path.abspath(path)  # noqa: PTH100 - the name as it is today, whatever the working directory becomes
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # or a link to one
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # at hand, so that letting go cannot fail
        self._stat = os.fstat(self.fd)
        self._asked: tuple[Path, str] = (path, ".")
        """The path that was asked for last, and its name in here: mostly that of the segment that is written."""
        self._looked_at: tuple[Path, str] = (path, self._name)
        """The path that was looked at last, under this folder's own name."""

    def __del__(self) -> None:
        """Close it."""
        for fd in (self.fd, self._null):
            if fd >= 0:
                os.close(fd)

    def release(self) -> None:
        """Let the folder itself go at once: its file system can be unmounted, though a traceback still refers to this object.

        The descriptor leads to the null device from now on, so that a call that is late fails with ENOTDIR.
        """
        os.dup2(self._null, self.fd, inheritable=False)

    def within(self, path: Path) -> str | None:
        """Give a path's name relative to this folder; None for what does not lie in it."""
        asked, name = self._asked
        if asked is path:
            return name
        if path.parent == self.path:
            self._asked = (path, path.name)
            return path.name
        if path == self.path:
            return "."
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else None

    def is_unchanged(self, path: Path, seen: FileStatus, size: int) -> bool:
        """Tell whether this folder's own name and one in it lead to a file, and that is so long; False where nobody can say."""
        looked_at, name = self._looked_at
        if looked_at is not path:
            name = f"{self._name}/{self.within(path)}"
            self._looked_at = (path, name)
        try:
            now = os.stat(name, follow_symlinks=False)  # noqa: PTH116 - hot
        except OSError:
            return False
        return now.st_size == size and now.st_ino == seen.inode and now.st_dev == seen.device

    def names(self, of: str = ".") -> list[str]:
        """List it, or a folder in it. By a descriptor of its own, as two listings of one descriptor take names from each other."""
        by_descriptor = f"/proc/self/fd/{self.fd}"
        if os.path.isdir(by_descriptor):  # noqa: PTH112 - in one step, unlike the other way: a thread may be killed in between
            return os.listdir(f"{by_descriptor}/{of}")  # noqa: PTH208 - names are all that is wanted
        fd = os.open(of, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(fd)  # noqa: PTH208 - as above
        finally:
            os.close(fd)

    def problem(self) -> str:
        """Tell why the folder's name does not lead here any more; empty where it does. Raises OSError where nobody can say."""
        try:
            under_name = os.stat(self._name)  # noqa: PTH116 - hot
        except (FileNotFoundError, NotADirectoryError):
            return f"nothing is left under that name. {self._whereabouts()}"
        if os.path.samestat(under_name, self._stat):
            return ""
        return f"another folder is there now. {self._whereabouts()}"

    def _whereabouts(self) -> str:
        if not os.fstat(self.fd).st_nlink:
            return "It was deleted, with what was acknowledged in it; restore it from a backup."
        try:
            where = str(Path(f"/proc/self/fd/{self.fd}").readlink())
        except OSError:
            where = "a place that this system does not tell"
        return f"It was moved to {where}: what was acknowledged is there. Move it back, or name that path, and start again."
