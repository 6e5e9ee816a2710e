"""Whether the names of a folder and of its segments still lead to what the owner has opened and written.

A folder that was moved, deleted or replaced, and files that were restored over newer ones, are no I/O errors that may pass: the
owner stops. Only looks and says so; looking up names is in `held_folder`.
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
"""So many earlier segments are looked at where a new one begins."""


@attrs.define
class _Open:
    """The segment that is being written."""

    path: Path
    fd: int
    status: FileStatus
    size: int
    """How much has been written, told after it was: the file is never shorter."""


class FolderIdentity:
    """What an owner has opened in its folder. Notes are taken by its one writing thread; the checks are for any."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._open: _Open | None = None
        self._checked_at_s = 0.0
        self._appended = False
        """Since the last sync."""
        self._checked = False
        """Right before the last frame."""
        self._earlier: dict[Path, FileStatus] = {}
        """Earlier segments; `size`: up to where they are part of the log."""
        self._turn = 0
        """Which of them are looked at next."""

    def reset(self, whole: list[Path]) -> None:
        """Take note of the segments before the one that is written; all that was noted before is forgotten."""
        self._open = None
        self._earlier = {path: status for path in whole if (status := self._disk.status(path)) is not None}

    def begin_segment(self, path: Path, fd: int, size: int) -> None:
        """Take note of the segment that is written from now on."""
        self._open = _Open(path, fd, self._disk.open_status(fd), size)
        self._earlier.pop(path, None)  # one without events has given way to another of its name

    def grow_to(self, size: int) -> None:
        """Take note of how long it has become."""
        if self._open is not None:
            self._open.size = size

    def end_segment(self) -> None:
        """Take note that it is written no more."""
        if self._open is not None:
            self._earlier[self._open.path] = attrs.evolve(self._open.status, size=self._open.size)
            self._open = None

    def add_earlier(self, path: Path, size: int) -> None:
        """Take note of an earlier segment and of how much of it is part of the log."""
        status = self._disk.status(path)
        if status is not None:
            self._earlier[path] = attrs.evolve(status, size=size)

    def forget_before(self, first_path: Path) -> None:
        """Forget the segments before one: the owner itself has dropped them."""
        self._earlier = {path: status for path, status in self._earlier.items() if path.name >= first_path.name}

    def check_before_append(self) -> None:
        """As `check`, of what must be as long as it was written; not at each of many frames that no sync comes between.

        The time is the machine's own: nothing follows from it but how late a moved folder is found.

        Raises:
            As `check`.
        """
        now_s = time.monotonic()
        self._checked = not self._appended or now_s - self._checked_at_s >= self._disk.identity_check_s
        self._appended = True
        if self._checked:
            opened = self._open
            # A file that both names lead to is the one that is written, whatever else may be told of the folder.
            if opened is None or not self._disk.is_unchanged(opened.path, opened.status, opened.size):
                self.check(exactly=True)
            self._checked_at_s = now_s

    def checked_last_append(self) -> bool:
        """Tell whether the last frame was looked at; else look before a sync: nothing is promised in a folder that is elsewhere."""
        looked = self._checked
        self._checked = self._appended = False
        return looked

    def check(self, *, sizes: bool = True, exactly: bool = False) -> None:
        """Look whether the folder's name and that of the segment being written lead here, and how long that is.

        Args:
            sizes: it must not be shorter than what was written, which holds as long as no sync has failed.
            exactly: nor longer, which holds for its writer as long as no write has failed.

        Raises:
            FolderMoved: they do not, or the segment has another size.
            OSError: nobody can say.
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
        """As `check`, and look at the earlier segments, too.

        Raises:
            As `check`.
        """
        self.check(sizes=sizes)
        self._check_earlier(list(self._earlier.items()))

    def check_some(self) -> None:
        """As `check`, and look at some of the earlier segments, each time at the next ones: it costs the same for any number.

        Raises:
            As `check`.
        """
        self.check()
        whole = list(self._earlier.items())
        at = self._turn if self._turn < len(whole) else 0
        self._turn = at + CHECKED_AT_ONCE
        self._check_earlier(whole[at : at + CHECKED_AT_ONCE])

    def _check_earlier(self, segments: list[tuple[Path, FileStatus]]) -> None:
        for path, noted in segments:
            now = self._disk.status(path)
            if now is not None and (not now.is_same_file(noted) or now.size < noted.size):  # a missing one is told by who reads it
                what = "cut off" if now.is_same_file(noted) else "replaced"
                raise self._moved(
                    f"{path.name} in {self._folder} was {what} while this process used the folder (an older copy put over it?). "
                    "Restore the newest copy that `perdure verify` finds whole."
                )

    def _moved(self, what: str) -> FolderMoved:
        return FolderMoved(f"{what} Nothing is written any more.")
