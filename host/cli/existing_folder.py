"""Opening of the log that a command reads. Not here: opening a log to write it, which a `System` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.events.errors import StoreUnavailable
from perdure.operations.audit import Audit
from perdure.store import checked_address, open_reader

if TYPE_CHECKING:
    from perdure.store import LogReader

__all__ = ["LogFolder", "before_the_log", "existing_folder"]

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


def before_the_log(reader: LogReader) -> str:
    """Return the text for a moment at which the log held nothing yet: when it begins."""
    first = next(iter(Audit(store=reader).events()), None)
    begins = "it is empty still" if first is None else f"it begins at {first.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"nothing was in this log yet at that moment: {begins}"
