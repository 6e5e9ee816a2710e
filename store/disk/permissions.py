"""How users other than its owner could change a data folder, by its permissions and those of the folders above it.

Nothing is changed here. How folders are created is in `disk`.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_to_others"]


def open_to_others(folder: Path) -> str | None:
    """Return how others than its owner could write a folder, or replace it through one above it; None if they could not."""
    me = os.getuid() if hasattr(os, "getuid") else None
    if me is None:
        return None  # no such permissions here
    resolved = folder.resolve()
    for part in (resolved, *resolved.parents):
        status = part.stat()
        if status.st_uid not in (me, 0):
            return f"{part} belongs to user {status.st_uid}, who can change what is in it"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and (part == resolved or not status.st_mode & stat.S_ISVTX):
            others = "anybody" if status.st_mode & stat.S_IWOTH else f"group {status.st_gid}"
            return f"{part} can be written by {others} (mode {stat.S_IMODE(status.st_mode):04o}): chmod go-w {part}"
    return None
