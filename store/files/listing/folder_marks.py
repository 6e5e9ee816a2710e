"""Files by which a folder says that no System may run on it: it holds a backup, or a copy that was not finished.

What a backup holds is written and read in `backup`; copies are written in `folder_copy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["BACKUP_FILE", "UNFINISHED_FILE", "check_finished", "check_no_backup"]

BACKUP_FILE = "backup.json"
"""A folder with this file holds a backup: the file says up to where it is complete."""
UNFINISHED_FILE = "unfinished.copy"
"""A copy begins with this file and ends with its removal."""


def check_finished(folder: Path, names: Collection[str]) -> None:
    """Raise if a folder holds a copy that was cut off.

    Raises:
        StoreUnavailable: it does; says what to do.
    """
    if UNFINISHED_FILE in names:
        msg = (
            f"{folder} holds a copy that was cut off: the restore, repair or migration that wrote it did not end. Run it again "
            "with the same folder, and it begins anew."
        )
        raise StoreUnavailable(msg)


def check_no_backup(folder: Path, names: Collection[str]) -> None:
    """Raise if a folder holds a backup, so that no owner writes into it.

    Raises:
        StoreUnavailable: it does; says what to do.
    """
    if BACKUP_FILE in names:
        msg = (
            f"{folder} holds a backup, and no System runs on one. Make a folder of it: perdure restore {folder} NEW_FOLDER. "
            "Commands that only read, and perdure.Audit, take it as it is."
        )
        raise StoreUnavailable(msg)
