"""The note of which folder a process owns: what it does where the folder cannot be looked up for a moment."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from perdure.events.errors import FolderMoved
from perdure.processes.noted_folder import NotedFolder
from perdure.store import SegmentStore
from perdure.store.disk.disk import Disk

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.disk.opened_folder import FileStatus


class FailsOnce(Disk):
    """A disk that cannot look a folder up the first time."""

    has_failed = False

    def folder_status(self, folder: Path) -> FileStatus | None:
        if not self.has_failed:
            self.has_failed = True
            raise OSError(errno.EIO, "planted")
        return super().folder_status(folder)


def test_a_folder_that_cannot_be_looked_up_is_noted_the_next_time(tmp_path: Path) -> None:
    """The role thread of an owner that ran already got the error, and never said that it had recovered."""
    folder = tmp_path / "store"
    folder.mkdir()
    noted = NotedFolder(SegmentStore(folder, disk=FailsOnce()))
    noted.note()
    noted.note()
    folder.rename(tmp_path / "moved")
    with pytest.raises(FolderMoved):
        noted.lock()
