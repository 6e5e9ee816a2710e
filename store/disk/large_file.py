"""A file that is written in large pieces, from its beginning to its end, and synced there. For copies and backups.

Not here: the log's own segments, where each commit is written and synced by itself (`files/segment_writer`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from perdure.store.disk.disk import Disk

__all__ = ["PIECE_BYTES", "LargeFile"]

PIECE_BYTES = 1 << 20
"""What is written is gathered into pieces of about this size."""


class LargeFile:
    """Writes one file after the other. For one thread."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._fd: int | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.size = 0
        """Bytes of the file so far, with those that still wait here."""

    @property
    def is_open(self) -> bool:
        """Whether a file is begun and not ended."""
        return self._fd is not None

    def begin(self, path: Path) -> None:
        """Create a file; raises OSError, as the other calls do."""
        self._waiting, self._waiting_bytes, self.size = [], 0, 0
        self._fd = self._disk.create(path)

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        if self._waiting_bytes >= PIECE_BYTES:
            self._flush()

    def write_all(self, file: BinaryIO) -> None:
        """Add all that is left of a file."""
        while piece := file.read(PIECE_BYTES):
            self.write(piece)

    def end(self) -> None:
        """Write what waits, sync the file and close it; without a file, do nothing."""
        self._flush()
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                self._disk.sync(fd)
            finally:
                self._disk.close(fd)

    def abandon(self) -> None:
        """Close the file as it is, after an error; raises nothing."""
        fd, self._fd = self._fd, None
        self._waiting, self._waiting_bytes = [], 0
        if fd is not None:
            with contextlib.suppress(OSError):
                self._disk.close(fd)

    def _flush(self) -> None:
        if self._fd is not None and self._waiting:
            self._disk.write(self._fd, b"".join(self._waiting))
        self._waiting, self._waiting_bytes = [], 0
