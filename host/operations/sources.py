"""The log that a backup or an export reads: at an address, or a store that the caller has.

Not here: which reader an address has (`perdure.store.addresses`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perdure.arguments.parts import check_folder, check_has
from perdure.events.seconds import shown
from perdure.store import open_reader

if TYPE_CHECKING:
    from perdure.store import LogReader

__all__ = ["readable"]


def readable(field: str, source: str | os.PathLike[str] | LogReader) -> LogReader:
    """Return the reader of a folder, a database's address or a store. Nothing is read yet.

    Raises:
        TypeError, ValueError: it is none of them, or an empty path; names the argument.
        StoreUnavailable: it is an address of a database that cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return open_reader(check_folder(source, field))
    if source is None or isinstance(source, bytes):
        msg = f"{field}: a folder, the address of a database, or a store, not {shown(source)}"
        raise TypeError(msg)
    check_has(field, source, "a folder, the address of a database, or a store", ("check_readable", "frames"))
    return source
