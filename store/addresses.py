"""The one place that turns an address, as a caller names a log, into a reader or an empty target.

An address is the path of a data folder. Opening one as its owner is `SegmentStore`'s.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perdure.store.files.folder_copy import FolderCopy
from perdure.store.files.folder_reader import FolderReader

if TYPE_CHECKING:
    from perdure.store.protocol import LogReader, LogTarget

__all__ = ["canonical_address", "open_reader", "open_target"]


def open_reader(address: str | os.PathLike[str]) -> LogReader:
    """Return a reader of the log at an address. Nothing is read yet: `check_readable` tells whether there is a log."""
    return FolderReader(address)


def open_target(address: str | os.PathLike[str]) -> LogTarget:
    """Return an empty place for a copy of a log. Nothing is written yet: `check_empty` tells whether it is free."""
    return FolderCopy(address)


def canonical_address(address: str | os.PathLike[str]) -> str:
    """Return one text for all addresses of the same log: the folder's path with links resolved."""
    return os.path.realpath(address)
