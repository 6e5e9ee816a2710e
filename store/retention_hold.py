"""Holds on history: while one is in force, in this process or by a file, old segments and snapshots stay for a copy of them.

What is dropped when there is none is decided in `files/retention` and by the stores.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HOLD_FILE", "HOLD_FILE_S", "RetentionHold"]

HOLD_FILE = "history.hold"
"""While a file of this name in the data folder is young, nothing is dropped. For copies made by another process."""
HOLD_FILE_S = 3600.0
"""The age, in seconds, up to which it counts as young. A longer copy touches it again; a forgotten one fills no disk."""


class RetentionHold:
    """Counts the holds on one log's history. Safe in any thread."""

    def __init__(self, file_modified_s: Callable[[], float | None]) -> None:
        self._file_modified_s = file_modified_s
        self._count = 0
        self._lock = lock_of(self, "_lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold history while the context is entered. Entering waits for a removal that is under way."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    @contextmanager
    def dropping(self) -> Iterator[bool]:
        """Yield whether something may be dropped; no hold begins while the context is entered."""
        with self._lock:
            yield not self._count and not self.held_by_file()

    def held_by_file(self) -> bool:
        """Return whether a young file holds history. Raises OSError if that is unknown."""
        modified_s = self._file_modified_s()
        return modified_s is not None and abs(time.time() - modified_s) < HOLD_FILE_S
