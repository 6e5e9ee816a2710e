"""Opening of the log that a command reads. Not here: opening a log to write it, which a `System` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.events.errors import StoreUnavailable
from perdure.store import checked_address, open_reader

if TYPE_CHECKING:
    from perdure.store import LogReader

__all__ = ["LogFolder", "existing_folder"]

LogFolder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="The data folder of a System, or postgresql://…#QUEUE.", show_default=False)
]
"""The argument of a command that reads."""


def existing_folder(address: str | os.PathLike[str]) -> LogReader:
    """Return a reader of a data folder. Takes no lock.

    Raises:
        StoreUnavailable: the folder cannot be read or holds no log, so no System ever ran in it.
    """
    reader = open_reader(checked_address(os.fspath(address)))
    reader.check_readable()
    if not reader.size().segments and not reader.snapshot_seqs():  # snapshots alone are damage, which `verify` reports
        raise StoreUnavailable(f"{address} holds no log; name the folder that a System was given")
    return reader
