"""Whether old segments and snapshots must stay for now, because somebody copies the folder: held in this process, or by a file.

What is dropped when nothing holds it is in `history` and `folder`.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HOLD_FILE", "HOLD_FILE_S", "RetentionHold"]

HOLD_FILE = "history.hold"
"""As long as a file of this name in the data folder is young, nothing is dropped: for who copies it from another process."""
HOLD_FILE_S = 3600.0
"""So young; to be touched again by a copy that takes longer. One that was forgotten fills no disk for ever."""


class RetentionHold:
    """Counts who holds a folder's history. Safe in any thread."""

    def __init__(self, file_modified_s: Callable[[], float | None]) -> None:
        self._file_modified_s = file_modified_s
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """RetentionHold it; begins when what is just being dropped is gone."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    @contextmanager
    def dropping(self) -> Iterator[bool]:
        """Have nobody begin to hold it meanwhile; gives whether something may be dropped."""
        with self._lock:
            yield not self._count and not self.held_by_file()

    def held_by_file(self) -> bool:
        """Tell whether a young file holds it; raises OSError where nobody can say."""
        modified_s = self._file_modified_s()
        return modified_s is not None and abs(time.time() - modified_s) < HOLD_FILE_S
