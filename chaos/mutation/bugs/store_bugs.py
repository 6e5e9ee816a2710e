"""Planted bugs in store/: syncs, names of segments and dropped history.

The journal that writes to the store is in `actor_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import OPERATIONS, SCENARIOS, Bug, Edit

__all__ = ["STORE_BUGS"]

STORE_BUGS: tuple[Bug, ...] = (
    Bug(
        "no fsync",
        "store",
        "crash states",
        OPERATIONS,
        (Edit("perdure.store.files.segment_writer", "            self.disk.sync_data(fd)\n", "            pass\n"),),
    ),
    Bug(
        "no fsync, seen through the whole system",
        "store",
        "simulation",
        SCENARIOS,
        (Edit("perdure.store.files.segment_writer", "            self.disk.sync_data(fd)\n", "            pass\n"),),
    ),
    Bug(
        "a new segment's name is not synced",
        "store",
        "crash states",
        OPERATIONS,
        (
            Edit(
                "perdure.store.files.segment_writer",
                "            self.disk.rename(temporary, path)\n            self.disk.sync_folder(self.path)\n",
                "            self.disk.rename(temporary, path)\n",
            ),
        ),
    ),
    Bug(
        "history is dropped up to the newest snapshot",
        "history",
        "simulation",
        SCENARIOS,
        (Edit("perdure.store.files.retention", "if following <= whole[0] + 1]", "if following <= whole[-1] + 1]"),),
        favoured=("snapshot",),
        first=8,
    ),
    Bug(
        "the space of spilled payloads is never free again",
        "payload spill",
        "tests/store/files/test_payload_spill.py",
        0,
        (
            Edit(
                "perdure.store.files.payload_spill",
                "            self._written -= self._gone.popleft()\n",
                "            self._gone.popleft()\n",
            ),
        ),
    ),
    Bug(
        "a file of the same name is taken for the one that is written",
        "folder identity",
        "tests/store/files/test_moved_folder.py",
        0,
        (
            Edit(
                "perdure.store.files.folder_identity",
                "if opened is None or not self._disk.is_unchanged(opened.path, opened.status, opened.size):",
                "if opened is None:",
            ),
        ),
    ),
    Bug(
        "a folder that moves between an append and its sync is not noticed",
        "folder identity",
        "tests/store/files/test_moved_folder.py",
        0,
        (
            Edit(
                "perdure.store.files.segment_writer",
                "            if not self._identity.checked_last_append():\n",
                "            if self._identity.checked_last_append() is None:\n",
            ),
        ),
    ),
)
