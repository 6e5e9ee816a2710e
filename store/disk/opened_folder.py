"""An opened folder: names are looked up in it wherever it is moved to, and it knows whether its own name still leads to it.

What an owner does if it does not is decided in `files/folder_identity`.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

__all__ = ["FileStatus", "OpenedFolder"]


@attrs.frozen
class FileStatus:
    """Which file a path or a descriptor leads to, and its size in bytes."""

    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileStatus:
        """Return the part of a file's status that counts here."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size)

    def is_same_file(self, other: FileStatus) -> bool:
        """Return whether both are one file, whatever its size is now."""
        return self.device == other.device and self.inode == other.inode


class OpenedFolder:
    """An open folder. Its descriptor stays open until the last reference is gone, so that no call meets a reused descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = self._null = -1
        self._name = os.path.abspath(path)  # noqa: PTH100 - the name as it is today, whatever the working directory becomes
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # or a link to one
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # opened in advance, so that `release` cannot fail
        self._stat = os.fstat(self.fd)
        self._asked: tuple[Path, str] = (path, ".")
        """The path that `within` was called with last, and its name in here: mostly the segment that is written."""
        self._checked: tuple[Path, str] = (path, self._name)
        """The path that was checked last, and the same under this folder's own name."""

    def __del__(self) -> None:
        """Close it."""
        for fd in (self.fd, self._null):
            if fd >= 0:
                os.close(fd)

    def release(self) -> None:
        """Close the folder itself at once, so that its file system can be unmounted while a traceback still refers to this object.

        From now on the descriptor leads to the null device, so that a late call fails with ENOTDIR.
        """
        os.dup2(self._null, self.fd, inheritable=False)

    def within(self, path: Path) -> str | None:
        """Return a path's name relative to this folder; None for a path outside it."""
        asked, name = self._asked
        if asked is path:
            return name
        if path.parent == self.path:
            self._asked = (path, path.name)
            return path.name
        if path == self.path:
            return "."
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else None

    def is_unchanged(self, path: Path, file: FileStatus, size: int) -> bool:
        """Return whether the folder's name and one in it lead to that file, with that size; False if that is unknown."""
        checked, name = self._checked
        if checked is not path:
            name = f"{self._name}/{self.within(path)}"
            self._checked = (path, name)
        try:
            now = os.stat(name, follow_symlinks=False)  # noqa: PTH116 - hot
        except OSError:
            return False
        return now.st_size == size and now.st_ino == file.inode and now.st_dev == file.device

    def names(self, of: str = ".") -> list[str]:
        """Return the names in it, or in a folder in it. Two listings of one descriptor would take names from each other."""
        by_descriptor = f"/proc/self/fd/{self.fd}"
        if os.path.isdir(by_descriptor):  # noqa: PTH112 - in one step, unlike below: a thread may be killed in between
            return os.listdir(f"{by_descriptor}/{of}")  # noqa: PTH208 - only names are needed
        fd = os.open(of, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(fd)  # noqa: PTH208 - as above
        finally:
            os.close(fd)

    def problem(self) -> str:
        """Return why the folder's name no longer leads here; empty if it does. Raises OSError if that is unknown."""
        try:
            under_name = os.stat(self._name)  # noqa: PTH116 - hot
        except (FileNotFoundError, NotADirectoryError):
            return f"nothing is left under that name. {self._whereabouts()}"
        if os.path.samestat(under_name, self._stat):
            return ""
        return f"another folder is there now. {self._whereabouts()}"

    def _whereabouts(self) -> str:
        if not os.fstat(self.fd).st_nlink:
            return "It was deleted, with what was acknowledged in it. Restore it from a backup."
        try:
            where = str(Path(f"/proc/self/fd/{self.fd}").readlink())
        except OSError:
            where = "an unknown place"
        return f"It was moved to {where}: what was acknowledged is there. Move it back, or name that path, and start again."
