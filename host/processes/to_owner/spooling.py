"""The spool of one process: publishes go to a file of its own beside the log while no process owns the folder.

Which publishes, and when, is in `exchange`; the file is in `perdure.store.spool`; the next owner takes it in
(`perdure.runtime.spool_source`).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from perdure.events.errors import FolderMoved, PerdureError, QueueFull, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.advice import with_advice
from perdure.store.disk.disk import Disk
from perdure.store.spool.spool_file import SpoolDoubt, SpoolWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.actors.requests.request import Request
    from perdure.processes.to_owner.exchange import Exchange
    from perdure.store.disk.opened_folder import FileStatus

__all__ = ["Spooling"]

logger = GuardedLogger("perdure")


class Spooling:
    """Spools for one connection, in its own thread. A forked child closes its copy, and begins a file of its own.

    Args:
        folder: the data folder. It is made where it is not there, as an owner would.
        disk: makes the file operations.
        now_us: returns the time in microseconds since the epoch.
        salt: returns 8 random bytes.
        before: what spooled for this process before, over a connection that it has left.
    """

    def __init__(
        self,
        folder: Path,
        disk: Disk | None = None,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        salt: Callable[[], bytes] = lambda: os.urandom(8),
        before: Spooling | None = None,
    ) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        after = None if before is None else before._writer  # noqa: SLF001 - of its own class
        self._writer: SpoolWriter = SpoolWriter(folder, self._disk, now_us=now_us, salt=salt, after=after)
        self._spooling = threading.Lock()
        self._is_over = False
        self._noted: FileStatus | None = None
        self.note()

    def note(self) -> None:
        """Note which folder it is: one that an owner of this process had, or that was there at first."""
        with contextlib.suppress(OSError):  # unknown: then any folder under the name will do
            self._noted = self._disk.folder_status(self._folder)

    def _check_not_moved(self) -> None:
        """Refuse to spool beside another log, or none: the next owner of the folder that is meant would not find it.

        Raises:
            FolderMoved: the folder is no longer under its name.
            OSError: it cannot be looked up.
        """
        now = self._disk.folder_status(self._folder)
        if self._noted is not None and (now is None or not now.is_same_file(self._noted)):
            found = "nothing is left under that name" if now is None else "another folder is there now"
            msg = (
                f"the data folder {self._folder} was moved, deleted or replaced while this process used it: {found}. Nothing was "
                "published. Move it back, or start an owner of the folder that is meant."
            )
            raise FolderMoved(msg)

    def spool(self, exchange: Exchange, now_s: float) -> None:
        """Spool what an exchange has to spool at a monotonic time, and answer it."""
        with self._spooling:
            while not self._is_over and (found := exchange.to_spool(now_s)):
                try:
                    self._write(exchange, found)
                except QueueFull:
                    for one in found:  # there is room for some of them, perhaps
                        try:
                            self._write(exchange, [one])
                        except QueueFull as error:
                            exchange.spooled([one[0]], error)

    def is_left(self) -> bool:
        """Return whether a file of this process is not taken in whole, or something is being spooled now. In any thread."""
        return self._spooling.locked() or self._writer.is_left()

    def end(self) -> None:
        """Spool no more: this process takes the folder over. Returns once what is being spooled is in the file, and answered."""
        self._is_over = True
        with self._spooling:
            self._writer.close()

    def _write(self, exchange: Exchange, found: list[tuple[Request, bytes]]) -> None:
        """Spool and answer requests together.

        Raises:
            QueueFull: there is no room for all of them; nothing is spooled.
        """
        requests = [request for request, _ in found]
        try:
            self._check_not_moved()
            self._disk.make_folder(self._folder)
            self._writer.write([body for _, body in found])
            if self._noted is None:
                self.note()
        except QueueFull:
            raise
        except SpoolDoubt as error:
            for request in requests:
                request.writes = 1
            exchange.spooled(requests, StoreUnavailable(str(error)))
        except PerdureError as error:
            exchange.spooled(requests, error)
        except OSError as error:
            msg = f"nothing can be spooled in {self._folder}: {with_advice(error)}. Nothing was published."
            exchange.spooled(requests, StoreUnavailable(msg))
        else:
            exchange.spooled(requests)
            logger.debug("%d publishes are spooled in %s: no process owns it", len(requests), self._folder)

    def close(self) -> None:
        """Close the file, which is left for the next owner. Also for a forked child, in which no other thread goes on."""
        self._spooling = threading.Lock()
        self._writer.close()
