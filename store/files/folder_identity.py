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
    from perdure.store.disk.opened_folder import Seen

__all__ = ["Standing"]


IN_TURN = 64
"""So many earlier segments are looked at where a new one begins."""


@attrs.define
class _Open:
    """The segment that is being written."""

    path: Path
    fd: int
    seen: Seen
    size: int
    """How much has been written, told after it was: the file is never shorter."""


class Standing:
    """What an owner has opened in its folder. Notes are taken by its one writing thread; the checks are for any."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._open: _Open | None = None
        self._looked_at_s = 0.0
        self._appended = False
        """Since the last sync."""
        self._looked = False
        """Right before the last frame."""
        self._whole: dict[Path, Seen] = {}
        """Earlier segments; `size`: up to where they are part of the log."""
        self._turn = 0
        """Which of them are looked at next."""

    def begin(self, whole: list[Path]) -> None:
        """Take note of the segments before the one that is written; all that was noted before is forgotten."""
        self._open = None
        self._whole = {path: seen for path in whole if (seen := self._disk.seen(path)) is not None}

    def writing(self, path: Path, fd: int, size: int) -> None:
        """Take note of the segment that is written from now on."""
        self._open = _Open(path, fd, self._disk.seen_open(fd), size)
        self._whole.pop(path, None)  # one without events has given way to another of its name

    def wrote(self, size: int) -> None:
        """Take note of how long it has become."""
        if self._open is not None:
            self._open.size = size

    def finished(self) -> None:
        """Take note that it is written no more."""
        if self._open is not None:
            self._whole[self._open.path] = attrs.evolve(self._open.seen, size=self._open.size)
            self._open = None

    def also_whole(self, path: Path, size: int) -> None:
        """Take note of an earlier segment and of how much of it is part of the log."""
        seen = self._disk.seen(path)
        if seen is not None:
            self._whole[path] = attrs.evolve(seen, size=size)

    def retired(self, first_path: Path) -> None:
        """Forget the segments before one: the owner itself has dropped them."""
        self._whole = {path: seen for path, seen in self._whole.items() if path.name >= first_path.name}

    def before_append(self) -> None:
        """As `check`, of what must be as long as it was written; not at each of many frames that no sync comes between.

        The time is the machine's own: nothing follows from it but how late a moved folder is found.

        Raises:
            As `check`.
        """
        now_s = time.monotonic()
        self._looked = not self._appended or now_s - self._looked_at_s >= self._disk.look_every_s
        self._appended = True
        if self._looked:
            opened = self._open
            # A file that both names lead to is the one that is written, whatever else may be told of the folder.
            if opened is None or not self._disk.has(opened.path, opened.seen, opened.size):
                self.check(exactly=True)
            self._looked_at_s = now_s

    def may_sync(self) -> bool:
        """Tell whether the last frame was looked at; else look before a sync: nothing is promised in a folder that is elsewhere."""
        looked = self._looked
        self._looked = self._appended = False
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
        if problem := self._disk.problem_of_name(self._folder):
            raise self._moved(f"the data folder {self._folder} was moved or replaced while this process used it: {problem}")
        opened = self._open
        if opened is None:
            return
        written, now = opened.size, self._disk.seen(opened.path)
        if now is None or not now.is_same_file(opened.seen):
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
        self._check_whole(list(self._whole.items()))

    def check_in_turn(self) -> None:
        """As `check`, and look at some of the earlier segments, each time at the next ones: it costs the same for any number.

        Raises:
            As `check`.
        """
        self.check()
        whole = list(self._whole.items())
        at = self._turn if self._turn < len(whole) else 0
        self._turn = at + IN_TURN
        self._check_whole(whole[at : at + IN_TURN])

    def _check_whole(self, segments: list[tuple[Path, Seen]]) -> None:
        for path, noted in segments:
            now = self._disk.seen(path)
            if now is not None and (not now.is_same_file(noted) or now.size < noted.size):  # a missing one is told by who reads it
                what = "cut off" if now.is_same_file(noted) else "replaced"
                raise self._moved(
                    f"{path.name} in {self._folder} was {what} while this process used the folder (an older copy put over it?). "
                    "Restore the newest copy that `perdure verify` finds whole."
                )

    def _moved(self, what: str) -> FolderMoved:
        return FolderMoved(f"{what} Nothing is written any more.")
