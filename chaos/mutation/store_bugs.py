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
        (Edit("perdure.store.files.history", "if following <= whole[0] + 1]", "if following <= whole[-1] + 1]"),),
    ),
)
