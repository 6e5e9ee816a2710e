"""Mounted file systems to break: ext4 or xfs in an image file whose power can be cut, and a small tmpfs. Needs root.

They are used by `kernel_power_cuts` and by tests.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import attrs

__all__ = ["LoopFolder", "Tmpfs", "why_no_loop", "why_no_tmpfs"]

_FS_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)
_IMAGE_BYTES = {"ext4": 32 << 20, "xfs": 320 << 20}
_MKFS = {"ext4": ("-q", "-F"), "xfs": ("-q", "-f")}
_MOUNT = {"ext4": "loop,commit=3600", "xfs": "loop"}
"""By default, ext4 commits its journal every five seconds. Where such a commit failed beside an fdatasync, Linux 6.18 was seen to
report success for the latter, and what was acknowledged was lost: probably because a transaction that neither runs nor commits any
more counts as done. With this option each commit belongs to a sync, which returns its failure.
"""


def _run(*command: str) -> None:
    """Run a system tool.

    Raises:
        OSError: it failed; with its output.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed names, our own paths
    if done.returncode:
        raise OSError(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")


def _unmount(path: Path) -> None:
    """Unmount. If a file is still open, detach the mount, which ends with the last descriptor.

    Raises:
        OSError: a file was still open.
    """
    try:
        _run("umount", str(path))
    except OSError:
        _run("umount", "--lazy", str(path))
        raise


@attrs.define
class Tmpfs:
    """A tmpfs of a given size, mounted inside the `with` block."""

    size_bytes: int
    path: Path = Path()

    def __enter__(self) -> Self:
        """Mount it.

        Raises:
            OSError: it cannot be mounted.
        """
        self.path = Path(tempfile.mkdtemp(prefix="perdure-tmpfs-"))
        try:
            _run("mount", "-t", "tmpfs", "-o", f"size={self.size_bytes},mode=700", "perdure", str(self.path))
        except OSError:
            self.path.rmdir()
            raise
        return self

    def resize(self, size_bytes: int) -> None:
        """Change its size."""
        _run("mount", "-o", f"remount,size={size_bytes}", str(self.path))

    def __exit__(self, *_: object) -> None:
        """Unmount and remove it."""
        _unmount(self.path)
        self.path.rmdir()


@attrs.define
class LoopFolder:
    """A folder on a file system in an image file, mounted inside the `with` block."""

    filesystem: str = "ext4"
    within: Path | None = None
    """The folder of the image; temporary unless given."""
    path: Path = Path()
    _image: Path = Path()
    _work: Path = Path()
    _mounted: bool = False

    def __enter__(self) -> Self:
        """Make, format and mount it.

        Raises:
            OSError: it cannot be made or mounted.
        """
        self._work = Path(tempfile.mkdtemp(prefix="perdure-loop-"))
        self._image = (self.within or self._work) / "image"
        self.path = self._work / "mounted"
        self.path.mkdir()
        try:
            with self._image.open("wb") as image:
                image.truncate(_IMAGE_BYTES[self.filesystem])
            _run(f"mkfs.{self.filesystem}", *_MKFS[self.filesystem], str(self._image))
            self.mount()
        except OSError:
            shutil.rmtree(self._work)
            raise
        return self

    def mount(self) -> None:
        """Mount it. The file system replays its journal."""
        _run("mount", "-o", _MOUNT[self.filesystem], str(self._image), str(self.path))
        self._mounted = True

    def unmount(self) -> None:
        """Unmount it, also after `cut`."""
        self._mounted = False
        _unmount(self.path)

    def cut(self) -> None:
        """Cut the power: every later call on it fails, and what was not synced is lost."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _FS_IOC_SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def __exit__(self, *_: object) -> None:
        """Unmount and remove it."""
        if self._mounted:
            self.unmount()
        shutil.rmtree(self._work)
        if self.within is not None:
            self._image.unlink(missing_ok=True)


def why_no_loop(filesystem: str) -> str:
    """Return why such a file system cannot be mounted from an image here; empty if it can."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    if shutil.which(f"mkfs.{filesystem}") is None:
        return f"mkfs.{filesystem} is not installed"
    try:
        with LoopFolder(filesystem) as mount:
            mount.cut()
    except OSError as error:
        return str(error)
    return ""


def why_no_tmpfs() -> str:
    """Return why a tmpfs cannot be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "mounting a tmpfs needs root"
    try:
        with Tmpfs(1 << 20):
            pass
    except OSError as error:
        return str(error)
    return ""
