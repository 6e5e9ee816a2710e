"""Checks that the names of a folder and of its segments still lead to the files that the owner has opened and written.

A folder that was moved, deleted or replaced, and files that were restored over newer ones, are not I/O errors that may pass: the
owner must stop. This module only checks; names are looked up in `disk/opened_folder`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import FolderMoved

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.disk.disk import Disk
    from perdure.store.disk.opened_folder import FileStatus

__all__ = ["FolderIdentity"]


CHECKED_AT_ONCE = 64
"""How many earlier segments are checked when a new one begins."""


@attrs.define
class _Open:
    """The segment that is being written."""

    path: Path
    fd: int
    status: FileStatus
    size: int
    """How many bytes have been written. It is set after each write, so the file is never shorter."""


class FolderIdentity:
    """The files that an owner has opened and written in its folder. The writing thread updates it; any thread may check."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._open: _Open | None = None
        self._checked_at_s = 0.0
        self._appended = False
        """A frame was appended since the last sync."""
        self._checked = False
        """A check came right before the last frame."""
        self._earlier: dict[Path, FileStatus] = {}
        """The segments before the one that is written. `size` is how far they are part of the log."""
        self._next = 0
        """Index of the earlier segment that is checked next."""

    def reset(self, earlier: list[Path]) -> None:
        """Forget everything and record the segments before the one that is written."""
        self._open = None
        self._earlier = {path: status for path in earlier if (status := self._disk.status(path)) is not None}

    def begin_segment(self, path: Path, fd: int, size: int) -> None:
        """Record the segment that is written from now on."""
        self._open = _Open(path, fd, self._disk.open_status(fd), size)
        self._earlier.pop(path, None)  # a segment without events was replaced by one of the same name

    def grow_to(self, size: int) -> None:
        """Record the new size of the segment that is written."""
        if self._open is not None:
            self._open.size = size

    def end_segment(self) -> None:
        """Record that the segment is complete."""
        if self._open is not None:
            self._earlier[self._open.path] = attrs.evolve(self._open.status, size=self._open.size)
            self._open = None

    def add_earlier(self, path: Path, size: int) -> None:
        """Record an earlier segment and how many of its bytes are part of the log."""
        status = self._disk.status(path)
        if status is not None:
            self._earlier[path] = attrs.evolve(status, size=size)

    def forget_before(self, first_path: Path) -> None:
        """Forget the segments before one, because the owner itself has dropped them."""
        self._earlier = {path: status for path, status in self._earlier.items() if path.name >= first_path.name}

    def check_before_append(self) -> None:
        """Check as `check(exactly=True)`; between two syncs, only every `Disk.identity_check_s` seconds.

        The time comes from the machine's clock, because it affects only how late a moved folder is noticed.

        Raises:
            FolderMoved, OSError: as `check`.
        """
        now_s = time.monotonic()
        self._checked = not self._appended or now_s - self._checked_at_s >= self._disk.identity_check_s
        self._appended = True
        if self._checked:
            opened = self._open
            # A file that both names lead to is the one that is written, so the longer check is needed only otherwise.
            if opened is None or not self._disk.is_unchanged(opened.path, opened.status, opened.size):
                self.check(exactly=True)
            self._checked_at_s = now_s

    def checked_last_append(self) -> bool:
        """Return whether the last frame was checked; if not, a check must come before the sync that acknowledges it."""
        checked = self._checked
        self._checked = self._appended = False
        return checked

    def check(self, *, sizes: bool = True, exactly: bool = False) -> None:
        """Check that the names of the folder and of the segment being written lead to what is open, and the segment's size.

        Args:
            sizes: the segment must not be shorter than what was written; true as long as no sync has failed.
            exactly: nor may it be longer; true for its writer as long as no write has failed.

        Raises:
            FolderMoved: the names lead elsewhere, or the segment has another size.
            OSError: the names cannot be looked up.
        """
        if problem := self._disk.folder_problem(self._folder):
            raise self._moved(f"the data folder {self._folder} was moved or replaced while this process used it: {problem}")
        opened = self._open
        if opened is None:
            return
        written, now = opened.size, self._disk.status(opened.path)
        if now is None or not now.is_same_file(opened.status):
            what = "removed" if now is None else "replaced by another file"
            raise self._moved(
                f"{opened.path.name} in {self._folder} was {what} while this process wrote it (a backup restored over it?). What "
                f"was acknowledged in it can be copied from /proc/{os.getpid()}/fd/{opened.fd} until this process stops."
            )
        if (sizes and now.size < written) or (exactly and now.size > written):
            raise self._moved(
                f"{opened.path.name} in {self._folder} has {now.size} bytes where this process wrote {written}: something else "
                "writes it (an older copy put over it?). Restore the newest copy that `perdure verify` finds whole."
            )

    def check_all(self, *, sizes: bool = True) -> None:
        """Check as `check`, and all earlier segments.

        Raises:
            FolderMoved, OSError: as `check`.
        """
        self.check(sizes=sizes)
        self._check_earlier(list(self._earlier.items()))

    def check_some(self) -> None:
        """Check as `check`, and the next `CHECKED_AT_ONCE` earlier segments: the cost does not grow with their number.

        Raises:
            FolderMoved, OSError: as `check`.
        """
        self.check()
        earlier = list(self._earlier.items())
        at = self._next if self._next < len(earlier) else 0
        self._next = at + CHECKED_AT_ONCE
        self._check_earlier(earlier[at : at + CHECKED_AT_ONCE])

    def _check_earlier(self, segments: list[tuple[Path, FileStatus]]) -> None:
        for path, noted in segments:
            now = self._disk.status(path)
            if now is not None and (not now.is_same_file(noted) or now.size < noted.size):  # reading reports a missing one
                what = "cut off" if now.is_same_file(noted) else "replaced"
                raise self._moved(
                    f"{path.name} in {self._folder} was {what} while this process used the folder (an older copy put over it?). "
                    "Restore the newest copy that `perdure verify` finds whole."
                )

    def _moved(self, what: str) -> FolderMoved:
        return FolderMoved(f"{what} Nothing is written any more.")
