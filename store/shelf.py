"""Payloads that wait on the disk instead of in memory. No history: the log has them too, and a crash leaves nothing of this behind.

What is shelved, and when it is taken down, is the business of who folds the queue (`perdure.events.plain`).
"""

from __future__ import annotations

import os
import tempfile
import threading
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Shelf", "Shelved"]

FILE_BYTES = 64 << 20
"""A file takes no more once it has this size; it goes when all that lies in it is gone."""


class _File:
    """A file without a name, which the system removes when it is closed."""

    def __init__(self, folder: Path) -> None:
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with its last payload, by `__del__`
        self.size = 0

    def append(self, data: bytes) -> int:
        """Write at the end; gives where it begins."""
        at, view = self.size, memoryview(data)
        while view:
            view = view[os.pwrite(self.file.fileno(), view, at + len(data) - len(view)) :]
        self.size = at + len(data)
        return at

    def read(self, size: int, at: int) -> bytes:
        """Read what was written."""
        data = os.pread(self.file.fileno(), size, at)
        if len(data) != size:
            msg = f"{len(data)} bytes of shelved payloads where {size} were written"
            raise OSError(msg)
        return data


class Shelved(Sequence[bytes]):
    """Payloads on the shelf: read anew each time they are asked for. Raises OSError where that fails."""

    __slots__ = ("_at", "_ends", "_file")

    def __init__(self, file: _File, at: int, payloads: Sequence[bytes]) -> None:
        self._file = file
        self._at = at
        self._ends = array("Q", accumulate(map(len, payloads), initial=0))

    def __len__(self) -> int:
        """Count them."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Read one payload, or those of a slice at once."""
        if isinstance(index, int):
            index = range(len(self))[index]
            return self._file.read(self._ends[index + 1] - self._ends[index], self._at + self._ends[index])
        start, stop, step = index.indices(len(self))
        if step != 1:
            return [self[i] for i in range(start, stop, step)]
        if start >= stop:
            return []
        base = self._ends[start]
        data = self._file.read(self._ends[stop] - base, self._at + base)
        return [data[a - base : b - base] for a, b in pairwise(self._ends[start : stop + 1])]

    def length(self, index: int) -> int:
        """Give a payload's size without reading it."""
        return self._ends[index + 1] - self._ends[index]


class Shelf:
    """Where payloads are put; for one thread that puts, and any that read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: _File | None = None
        self._lock = threading.Lock()

    def put(self, payloads: list[bytes]) -> Shelved:
        """Write payloads to the disk and give what stands for them.

        Raises:
            OSError: there is no room, or the disk fails; they are better kept where they are.
        """
        data = b"".join(payloads)
        with self._lock:
            file = self._file
            if file is None or file.size >= FILE_BYTES:
                file = self._file = _File(self._folder)
            return Shelved(file, file.append(data), payloads)
