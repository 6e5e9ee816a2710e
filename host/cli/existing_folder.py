"""A data folder that commands read: one that holds a log, refused otherwise. Opening one as its owner is `System`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import StoreUnavailable
from perdure.store import FolderReader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["existing_folder"]


def existing_folder(folder: Path) -> FolderReader:
    """Return a reader of a data folder; takes no lock.

    Raises:
        StoreUnavailable: the folder cannot be read, or holds no log: it is none that a System was given.
    """
    reader = FolderReader(folder)
    reader.check_folder()
    if not reader.segments() and not reader.snapshot_seqs():  # snapshots alone are damage, which `verify` tells
        raise StoreUnavailable(f"{folder} holds no log; name the folder that a System was given")
    return reader
