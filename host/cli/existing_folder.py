"""The log that a command reads: refused unless its address leads to one. Opening a log as its owner is `System`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import StoreUnavailable
from perdure.store import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store import LogReader

__all__ = ["existing_folder"]


def existing_folder(folder: Path) -> LogReader:
    """Return a reader of a data folder. Takes no lock.

    Raises:
        StoreUnavailable: the folder cannot be read or holds no log, so no System ever ran in it.
    """
    reader = open_reader(folder)
    reader.check_readable()
    if not reader.size().segments and not reader.snapshot_seqs():  # snapshots alone are damage, which `verify` reports
        raise StoreUnavailable(f"{folder} holds no log; name the folder that a System was given")
    return reader
