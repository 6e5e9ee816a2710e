"""Payloads that wait on the disk instead of in memory. The log has them too; a crash leaves nothing of these files behind.

Which payloads are spilled, and when, is decided in `perdure.events.queue.folding.plain_messages`.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, overload

from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PayloadSpill", "Spilled"]

FILE_BYTES = 16 << 20
"""A file is full at this size, or at a part (`FILE_PART`) of all spilled bytes if that is more, so that there are never many. It is
removed with the last payload in it."""
FILE_PART = 16


class _File:
    """A file without a name, which the operating system removes when it is closed."""

    def __init__(self, folder: Path, gone: deque[int]) -> None:
        self.size = 0
        self._gone = gone
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with its last payload

    def __del__(self) -> None:
        """Report the bytes that are free again."""
        self._gone.append(self.size)

    def append(self, data: bytes) -> int:
        """Write at the end; return the offset at which the data begins."""
        at, view = self.size, memoryview(data)
        while view:
            view = view[os.pwrite(self.file.fileno(), view, at + len(data) - len(view)) :]
        self.size = at + len(data)
        return at

    def read(self, size: int, at: int) -> bytes:
        """Return bytes that were written."""
        data = os.pread(self.file.fileno(), size, at)
        if len(data) != size:
            msg = f"{len(data)} bytes of spilled payloads where {size} were written"
            raise OSError(msg)
        return data


class Spilled(Sequence[bytes]):
    """Spilled payloads: each access reads them from the file. Raises OSError if that fails."""

    __slots__ = ("_at", "_ends", "_file")

    def __init__(self, file: _File, at: int, payloads: Sequence[bytes]) -> None:
        self._file = file
        self._at = at
        ends = [*accumulate(map(len, payloads), initial=0)]
        self._ends = array("I" if ends[-1] < 1 << 32 else "Q", ends)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Return one payload, or those of a slice with one read."""
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
        """Return a payload's size in bytes without reading it."""
        return self._ends[index + 1] - self._ends[index]

    @property
    def file(self) -> _File:
        """The file that holds them."""
        return self._file


class PayloadSpill:
    """A place for payloads: one thread puts, any thread reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: _File | None = None
        self._lock = lock_of(self, "_lock")
        self._written = 0
        self._gone: deque[int] = deque()
        """Sizes of files that were removed; any thread may append, at any instruction."""

    @property
    def size(self) -> int:
        """Bytes that the files take up, payloads included that are no longer needed. For the thread that puts."""
        while self._gone:
            self._written -= self._gone.popleft()
        return self._written

    def sparse(self, live: Sequence[tuple[Sequence[bytes], int]]) -> list[bool]:
        """Return which payloads, each given with its bytes that are still needed, lie in files that are mostly unneeded.

        Payloads that are put from now on go to another file.
        """
        needed: Counter[int] = Counter()
        for spilled, size in live:
            if isinstance(spilled, Spilled):
                needed[id(spilled.file)] += size
        self._file = None
        return [isinstance(spilled, Spilled) and needed[id(spilled.file)] * 2 < spilled.file.size for spilled, _ in live]

    def put(self, payloads: list[bytes]) -> Spilled:
        """Write payloads to the disk and return a sequence that reads them.

        Raises:
            OSError: the disk is full or fails; the caller keeps them in memory.
        """
        data = b"".join(payloads)
        with self._lock:
            file = self._file
            if file is None or file.size >= max(FILE_BYTES, self.size // FILE_PART):
                file = self._file = _File(self._folder, self._gone)
            at = file.append(data)
            self._written += len(data)
            return Spilled(file, at, payloads)
