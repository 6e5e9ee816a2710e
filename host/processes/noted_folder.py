"""Which folder it is that a process owns, or whose owner has welcomed it: no other one under its name is owned instead.

An owner checks its open folder itself (`perdure.store.files.folder_identity`). When a role is taken is in `role_rules`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from perdure.events.errors import FolderMoved, StoreUnavailable
from perdure.store.disk.advice import with_advice

if TYPE_CHECKING:
    from perdure.store import SegmentStore
    from perdure.store.disk.opened_folder import FileStatus

__all__ = ["NotedFolder"]


class NotedFolder:
    """For the thread that takes roles, and after its end for the one that stops."""

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._noted: FileStatus | None = None

    def note(self) -> None:
        """Note the folder, for as long as this object lives; the first call that can look it up counts."""
        if self._noted is not None:
            return
        with contextlib.suppress(OSError):  # unknown: the next role taken notes it
            self._noted = self._store.disk.folder_status(self._store.path)

    def lock(self) -> None:
        """Take the folder's lock, as `SegmentStore.lock`, where it is still the folder that was noted.

        What was acknowledged is in that one: a process that owned another would go on with less, or with nothing at all.

        Raises:
            FolderMoved: another folder is under the name now, or none. It is not made.
            StoreLocked, StoreUnavailable: as `SegmentStore.lock`.
        """
        path = self._store.path
        try:
            now = self._store.disk.folder_status(path)
        except OSError as error:
            msg = f"the data folder {path} cannot be looked up: {with_advice(error)}."
            raise StoreUnavailable(msg) from error
        if self._noted is not None and (now is None or not now.is_same_file(self._noted)):
            found = "nothing is left under that name" if now is None else "another folder is there now"
            msg = (
                f"the data folder {path} was moved, deleted or replaced while processes used it: {found}. A member of its owner "
                "does not own what is there instead. Move the folder back, or start the program again."
            )
            raise FolderMoved(msg)
        self._store.lock()
