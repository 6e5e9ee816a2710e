"""A file that exists whole or not at all, also after a power cut: written and synced under another name, then renamed.

Not here: files that grow (`large_file`, and the log's segments in `files/segment_writer`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from perdure.store.disk.disk import Disk

__all__ = ["write_whole"]


def write_whole(disk: Disk, path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file in pieces; return when it and its name are synced. It is never whole in memory.

    Meanwhile it has the suffix `.tmp`, a name under which nothing may be: the caller removes what a crash has left there.

    Raises:
        OSError: it cannot be written; the unfinished file is removed where that can be done.
    """
    temporary = path.with_suffix(".tmp")
    try:
        fd = disk.create(temporary)
        try:
            for piece in pieces:
                disk.write(fd, piece)
            disk.sync(fd)
        finally:
            disk.close(fd)
        disk.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            disk.remove(temporary)  # otherwise each failed attempt would fill a full disk further
        raise
    disk.sync_folder(path.parent)
