"""A disk in memory that knows what a power cut would lose, and that fails on request.

It takes the place of the real `Disk`. The model is that of ALICE (Pillai et al., OSDI 2014) and of the fsync studies (Rebello et
al., ATC 2020), in its most forgetful form. Each write is independent until its file is synced. A name is durable only after its
folder is synced. After a failed sync it is unknown which of the writes are on the disk. The states that a power cut may leave are
in `crash_states`.
"""

from __future__ import annotations

import errno
import io
import os
import time
from typing import TYPE_CHECKING, BinaryIO

import attrs

from perdure.chaos.disk.memory_files import Change, File, Link, apply, follow
from perdure.events.errors import StoreLocked
from perdure.store.disk.disk import Disk
from perdure.store.disk.opened_folder import FileStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Fault", "Killed", "MemoryDisk", "MemoryLock", "PowerCut"]


class Killed(BaseException):
    """The process is dead, the machine is on, and what was written can be read. Not an Exception: nothing may handle it."""


class PowerCut(BaseException):
    """The machine is off. Not an Exception: nothing may handle it."""


@attrs.define
class Fault:
    """An operation that fails.

    Args:
        at: the `at`-th operation from now; 1: the next.
        code: the errno, such as `errno.EIO`.
        part: of a failing write, so many bytes are written first.
        times: how many operations in a row fail.
        only: count only operations of this name (`write`, `sync`, ...); all that change something unless given.
    """

    at: int
    code: int = errno.EIO
    part: int = 0
    times: int = 1
    only: str = ""


class MemoryLock:
    """The lock of a folder on a memory disk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self.held = False

    def take(self) -> None:
        """See `FolderLock.take`."""
        if self._disk.owner is not None:
            msg = "the folder in memory has an owner"
            raise StoreLocked(msg, os.getpid())
        self._disk.owner = self
        self.held = True

    def drop(self) -> None:
        """See `FolderLock.drop`."""
        if self.held:
            self.held = False
            self._disk.owner = None


class _ClaimedFile(io.BytesIO):
    """A file that is read and claimed."""

    def __init__(self, of: File) -> None:
        super().__init__(bytes(of.seen))
        self.of = of


class MemoryDisk(Disk):
    """One folder of files in memory. For use by one thread, or by actors that run one at a time."""

    identity_check_s = float("inf")  # nothing here depends on a clock

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.names_seen: dict[str, File] = {}
        for name, content in (files or {}).items():
            self.names_seen[name] = File(bytearray(content), content)
        self.names_durable = dict(self.names_seen)
        self.names_pending: list[Link] = []
        self.owner: MemoryLock | None = None
        self.operations = 0
        """How many operations so far changed something."""
        self.moved = ""
        """What happened to the folder while it was in use; empty: nothing."""
        self.kill_at = 0
        """The number of the operation at which the process is killed; 0: none."""
        self.faults: list[Fault] = []
        self.before_each: Callable[[str], None] = lambda _name: None
        """Called before each operation that changes something, with its name. It may raise `PowerCut`."""
        self.claims: list[BinaryIO] = []
        """The open files that are claimed until they are closed. Claims end with their process: see `end_claims`."""
        self._fds: dict[int, File] = {}
        self._next_fd = 1000

    def contents(self) -> dict[str, bytes]:
        """Return all files as a reader sees them."""
        return {name: bytes(file.seen) for name, file in self.names_seen.items()}

    def _step(self, name: str) -> int | None:
        """Count an operation. Return the bytes that a failing write still writes; None if it does not fail.

        Raises:
            OSError: the operation fails.
            Killed: the process is killed at this operation.
        """
        self.operations += 1
        self.before_each(name)
        if self.operations == self.kill_at:
            raise Killed
        for fault in self.faults:
            if fault.only and fault.only != name:
                continue
            fault.at -= 1
            if fault.at > 0:
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            if name == "write":
                return min(fault.part, 1 << 30) if fault.code else None
            raise OSError(fault.code, os.strerror(fault.code))
        return None

    # --- the interface of `Disk` -----------------------------------------------------------------------------------------

    def lock(self, _folder: Path, /) -> MemoryLock:  # type: ignore[override]  # a lock of no file
        """See `Disk.lock`."""
        return MemoryLock(self)

    def open_folder(self, folder: Path) -> None:
        """See `Disk.open_folder`: there is one folder."""

    def folder_problem(self, _folder: Path, /) -> str:
        """See `Disk.folder_problem`: a test sets `moved`."""
        return self.moved

    def status(self, path: Path) -> FileStatus | None:
        """See `Disk.status`."""
        file = self.names_seen.get(path.name)
        return None if file is None else FileStatus(0, id(file), len(file.seen))

    def modified_s(self, path: Path) -> float | None:
        """See `Disk.modified_s`: files have no times here, so all are new."""
        return time.time() if path.name in self.names_seen else None

    def touch(self, path: Path) -> None:
        """See `Disk.touch`: files have no times here."""

    def open_status(self, fd: int) -> FileStatus:
        """See `Disk.open_status`."""
        file = self._fds[fd]
        return FileStatus(0, id(file), len(file.seen))

    def is_same_folder(self, one: Path, other: Path) -> bool:
        """See `Disk.is_same_folder`."""
        return one == other

    def make_folder(self, path: Path) -> None:
        """See `Disk.make_folder`."""

    def open_to_others(self, folder: Path) -> None:
        """See `Disk.open_to_others`: there is only this process."""

    def names(self, _folder: Path, /) -> list[str]:
        """See `Disk.names`."""
        return list(self.names_seen)

    def create(self, path: Path) -> int:
        """See `Disk.create`."""
        self._step("create")
        if path.name in self.names_seen:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        file = File()
        self._link((path.name, file))
        return self._open(file)

    def open_append(self, path: Path) -> int:
        """See `Disk.open_append`."""
        return self._open(self._file(path))

    def open_read(self, path: Path) -> BinaryIO:
        """See `Disk.open_read`."""
        return io.BytesIO(bytes(self._file(path).seen))

    def open_claimed(self, path: Path) -> BinaryIO:
        """See `Disk.open_claimed`. A writer never holds a claim here: it appends in one turn."""
        file = _ClaimedFile(self._file(path))
        self.claims.append(file)
        return file

    def claim(self, fd: int) -> bool:
        """See `Disk.claim`."""
        return not any(isinstance(one, _ClaimedFile) and not one.closed and one.of is self._fds[fd] for one in self.claims)

    def end_claims(self) -> None:
        """End all claims, as the death of their process does."""
        self.claims.clear()

    def let_go(self, fd: int) -> None:
        """See `Disk.let_go`."""

    def write(self, fd: int, data: bytes) -> None:
        """See `Disk.write`."""
        part = self._step("write")
        file = self._fds[fd]
        if part is None:
            file.apply(Change(len(file.seen), data))
            return
        if part:  # never all bytes: a write that wrote everything does not fail
            file.apply(Change(len(file.seen), data[: min(part, len(data) - 1)]))
        raise OSError(errno.ENOSPC if part else errno.EIO, os.strerror(errno.ENOSPC if part else errno.EIO))

    def sync_data(self, fd: int) -> None:
        """See `Disk.sync_data`."""
        self.sync(fd)

    def sync(self, fd: int) -> None:
        """See `Disk.sync`. After a failure the pages are clean, and it is undecided whether they are on the disk."""
        file = self._fds[fd]
        try:
            self._step("sync")
        except OSError:
            file.undecided += file.pending
            file.pending = []
            raise
        file.sync()

    def sync_file(self, path: Path) -> None:
        """See `Disk.sync_file`."""
        fd = self.open_append(path)
        try:
            self.sync(fd)
        finally:
            self.close(fd)

    def sync_folder(self, _path: Path, /) -> None:
        """See `Disk.sync_folder`."""
        self._step("sync_folder")  # after a failure names stay pending: the file system's journal has them, not the page cache
        for link in self.names_pending:
            follow(self.names_durable, link)
        self.names_pending = []

    def forget_cached(self, fd: int) -> None:
        """See `Disk.forget_cached`: what a failed sync left undecided is decided now, either way."""
        file = self._fds[fd]
        if file.undecided:
            whole = bytearray(file.durable)
            for change in file.undecided if self.operations % 2 else ():
                apply(whole, change)
            file.durable, file.undecided = bytes(whole), []
            for change in file.pending:
                apply(whole, change)
            file.seen = whole

    def truncate(self, path: Path, size: int) -> None:
        """See `Disk.truncate`."""
        file = self._file(path)
        self._step("truncate")
        file.apply(Change(size, None))
        file.sync()

    def cut(self, fd: int, size: int) -> None:
        """See `Disk.cut`."""
        self._step("cut")
        self._fds[fd].apply(Change(size, None))

    def rename(self, old: Path, new: Path) -> None:
        """See `Disk.rename`."""
        file = self._file(old)
        self._step("rename")
        self._link((old.name, None), (new.name, file))

    def remove(self, path: Path) -> None:
        """See `Disk.remove`."""
        self._file(path)
        self._step("remove")
        self._link((path.name, None))

    def size(self, path: Path) -> int:
        """See `Disk.size`."""
        return len(self._file(path).seen)

    def close(self, fd: int) -> None:
        """See `Disk.close`."""
        self._fds.pop(fd, None)

    def _file(self, path: Path) -> File:
        file = self.names_seen.get(path.name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return file

    def _open(self, file: File) -> int:
        self._next_fd += 1
        self._fds[self._next_fd] = file
        return self._next_fd

    def _link(self, *names: tuple[str, File | None]) -> None:
        link = Link(names)
        follow(self.names_seen, link)
        self.names_pending.append(link)
