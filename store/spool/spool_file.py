"""Writing a spool file, one for each process, and claiming the files of a folder to take them in.

A lock of the operating system on the file keeps both apart: a writer holds it while it appends, a taker from reading to removing.
A writer that finds its file claimed or gone begins another one, so neither waits for the other.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from perdure.events.errors import QueueFull, StoreUnavailable
from perdure.store.disk.advice import with_advice
from perdure.store.spool import spool_format as sf
from perdure.store.survey import SurveyedSpool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from perdure.store.disk.disk import Disk

__all__ = ["ClaimedSpool", "HasSpoolFolder", "SpoolDoubt", "SpoolWriter", "claim", "names", "survey_spool"]

FILE_BYTES_MAX = 64 << 20
"""Bytes of one file, but for a single record that is larger."""
READ_MAX = FILE_BYTES_MAX + 2 * sf.RECORD_BYTES_MAX
"""Bytes of a file that are looked at: more than one has."""
FOLDER_BYTES_MAX = 1 << 30
"""Bytes of all files of a folder."""
FILES_MAX = 1000


@runtime_checkable
class HasSpoolFolder(Protocol):
    """An `EventStore` beside whose log processes spool, in files that its owner takes in."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def disk(self) -> Disk:
        """What makes the file operations there."""


class SpoolDoubt(Exception):
    """It is not known whether the records are in the file: its disk failed."""


class SpoolWriter:
    """Appends records to a file of its own. For one thread at a time.

    Args:
        folder: the data folder, which must be there.
        disk: makes the file operations.
        now_us: returns the time in microseconds since the epoch, for the name.
        salt: returns 8 random bytes.
        after: the writer of this process before: what it has written comes first.
    """

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        *,
        now_us: Callable[[], int],
        salt: Callable[[], bytes],
        after: SpoolWriter | None = None,
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._now_us = now_us
        self._salt = salt
        self._fd: int | None = None
        self._path = folder
        self._header = b""
        self._size = self._records = 0
        self._made_us: int = 0 if after is None else after._made_us  # noqa: SLF001 - of its own class
        self._left: list[Path] = [] if after is None else [*after._left]  # noqa: SLF001 - of its own class
        """The files that it has made and that were there when it looked last."""

    def write(self, items: list[bytes]) -> None:
        """Append a record of these items; return once it outlasts a power cut.

        Raises:
            QueueFull: they are more than there is room for. Nothing is spooled.
            StoreUnavailable: the disk does not take them. Nothing was written.
            SpoolDoubt: the disk failed, and they may be spooled.
        """
        size = sum(map(len, items))
        if size > sf.RECORD_BYTES_MAX - (1 << 20):
            msg = f"{size:,} bytes at once are more than the spool takes. Nothing was published."
            raise QueueFull(msg)
        try:
            fd = self._claimed(size)
        except OSError as error:
            self._close()
            msg = f"nothing can be spooled in {self._folder}: {with_advice(error)}. Nothing was published."
            raise StoreUnavailable(msg) from error
        try:
            self._append(fd, items)
        finally:
            if self._fd is not None:
                self._disk.let_go(fd)

    def is_left(self) -> bool:
        """Return whether a file of its is there under its name: no owner has taken all of it in. In any thread."""
        for path in tuple(self._left):
            try:
                if self._disk.status(path) is not None:
                    return True
            except OSError:
                return True  # it is not known
            with contextlib.suppress(ValueError):  # another thread looks, too
                self._left.remove(path)
        return False

    def close(self) -> None:
        """Close the file, which stays for the next owner. Also for a forked child, whose copy it is."""
        self._close()

    def _append(self, fd: int, items: list[bytes]) -> None:
        data = sf.pack_record(self._header, self._records + 1, items)
        try:
            self._disk.write(fd, data)
        except OSError as error:
            self._take_out(fd, error)
            msg = f"the spool file {self._path} cannot be written: {with_advice(error)}. Nothing was published."
            raise StoreUnavailable(msg) from error
        try:
            self._disk.sync_data(fd)
        except OSError as error:
            self._close()  # a second sync of this file could succeed falsely
            msg = f"the spool file {self._path} cannot be synced: {with_advice(error)}."
            raise SpoolDoubt(msg) from error
        self._size += len(data)
        self._records += 1

    def _take_out(self, fd: int, cause: OSError) -> None:
        """Cut off what a failed write has left, and begin another file the next time."""
        try:
            self._disk.cut(fd, self._size)
            self._disk.sync_data(fd)
        except OSError as error:
            msg = f"the spool file {self._path} cannot be written: {with_advice(cause)}."
            raise SpoolDoubt(msg) from error
        finally:
            self._close()

    def _claimed(self, more: int) -> int:
        """Return the descriptor of a file that has room for so many bytes, claimed."""
        fd = self._fd
        if fd is not None:
            if self._size + more > FILE_BYTES_MAX and self._records:
                self._close()
            elif self._disk.claim(fd):
                status = self._disk.status(self._path)
                if status is not None and status.is_same_file(self._disk.open_status(fd)):
                    return fd
                self._close()
            else:
                self._close()
        self._check_room(more)
        return self._begin()

    def _check_room(self, more: int) -> None:
        found = names(self._disk, self._folder)
        held = 0
        for name in found:
            with contextlib.suppress(FileNotFoundError):
                held += self._disk.size(self._folder / name)
        if len(found) >= FILES_MAX or held + more > FOLDER_BYTES_MAX:
            msg = (
                f"the spool of {self._folder} is full: {held:,} bytes in {len(found):,} files wait for an owner, and at most "
                f"{FOLDER_BYTES_MAX:,} bytes in {FILES_MAX:,} files may. Nothing was published; start an owner, which takes it in."
            )
            raise QueueFull(msg)

    def _begin(self) -> int:
        salt = self._salt()
        self._header = sf.pack_header(salt)
        self._made_us = max(self._now_us(), self._made_us + 1)  # in order, also where the clock was set back
        self._path = self._folder / sf.file_name(self._made_us, salt)
        self._left.append(self._path)  # first: it is not known what of an interruption is left
        fd = self._fd = self._disk.create(self._path)
        self._disk.claim(fd)  # first: from here on a taker could find it
        self._size = self._records = 0
        self._disk.write(fd, self._header)
        self._size = len(self._header)
        self._disk.sync_data(fd)  # before the first record: so a bad header with records behind it is damage
        self._disk.sync_folder(self._folder)
        return fd

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                self._disk.close(fd)


def names(disk: Disk, folder: Path) -> list[str]:
    """Return the names of a folder's spool files, in the order in which they were made.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(name for name in disk.names(folder) if sf.is_spool(name))


@attrs.define(eq=False)
class ClaimedSpool:
    """A spool file that no process appends to any more."""

    disk: Disk
    path: Path
    file: BinaryIO
    """Holds the claim until it is closed."""
    contents: sf.Contents

    def with_problem(self, problem: str) -> ClaimedSpool:
        """Return it as one that is not to be removed."""
        return attrs.evolve(self, contents=attrs.evolve(self.contents, problem=self.contents.problem or problem))

    def remove(self) -> None:
        """Remove the file: what it held is on record elsewhere. A damaged one is kept under another name.

        Raises:
            OSError: it cannot be removed, or that is not durable yet; it may be called again.
        """
        with contextlib.suppress(FileNotFoundError):
            if self.contents.problem:
                self.disk.rename(self.path, self.path.with_name(f"{self.path.name}.damaged"))
            else:
                self.disk.remove(self.path)
        self.disk.sync_folder(self.path.parent)
        self.file.close()


def claim(disk: Disk, path: Path) -> ClaimedSpool | None:
    """Return a file whose writer is done with it; None where it appends right now, or the file is gone.

    Raises:
        OSError: it cannot be read.
    """
    try:
        file = disk.open_claimed(path)
    except FileNotFoundError:
        return None
    if file is None:
        return None
    try:
        contents = sf.parse(file.read(READ_MAX))
        if disk.status(path) is None:  # another owner took it in between
            file.close()
            return None
    except BaseException:
        file.close()
        raise
    return ClaimedSpool(disk, path, file, contents)


def survey_spool(disk: Disk, folder: Path) -> list[SurveyedSpool]:
    """Return what each spool file of a folder holds, for a look that changes nothing. What cannot be read has that as its problem.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for name in names(disk, folder):
        try:
            with disk.open_read(folder / name) as file:
                data = file.read(READ_MAX)
        except FileNotFoundError:
            continue  # an owner takes it in right now
        except OSError as error:
            found.append(SurveyedSpool(name, 0, 0, f"cannot be read: {error.strerror or error}", 0))
            continue
        contents = sf.parse(data)
        found.append(SurveyedSpool(name, len(contents.items), len(data), contents.problem, contents.offset))
    return found
