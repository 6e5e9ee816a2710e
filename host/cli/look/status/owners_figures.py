"""`OwnersFigures`: what the process that owns a log knows beyond it: waits, runs, workers by process, spill. For `perdure status`.

What the log knows is `perdure.operations.watch`'s.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perdure.actors.sessions.listening.sockets import SOCKET_NAME
from perdure.connecting import connect
from perdure.events.errors import PerdureError
from perdure.store import is_postgres, open_store

if TYPE_CHECKING:
    from perdure.operations.metrics import DeputyInfo, HandlerInfo
    from perdure.processes.client import Client

__all__ = ["Figures", "OwnersFigures"]

TIMEOUT_S = 1.0
"""How long a look waits for the owner."""
AGAIN_S = 10.0
"""How long a database is not asked again after no owner answered there; a folder without an owner has no socket."""


class Figures(NamedTuple):
    """What an owner reports about itself."""

    handlers: dict[str, HandlerInfo]
    spilled_bytes: int
    """Bytes of waiting payloads that are on disk instead of in memory."""
    deputies: tuple[DeputyInfo, ...] = ()


class OwnersFigures:
    """Asks the owner of a folder or queue again and again, where one takes questions. For one thread."""

    def __init__(self, folder: str) -> None:
        self._is_database = is_postgres(folder)
        self._folder = folder
        self._client: Client | None = None
        self._not_before_s = 0.0

    def look(self) -> Figures | None:
        """Return the figures as they are now; None where no owner answers, or it refuses."""
        if self._is_database:
            if time.monotonic() < self._not_before_s:
                return None
        elif not (Path(self._folder) / SOCKET_NAME).exists():
            return None
        try:
            if self._client is None:
                self._client = self._connect()
            admin = self._client.admin
            metrics = admin.metrics()
            return Figures(admin.handlers(), metrics.spilled_bytes, metrics.deputies)
        except (PerdureError, OSError):
            self._not_before_s = time.monotonic() + AGAIN_S
            return None

    def _connect(self) -> Client:
        if self._is_database:
            return connect(str(open_store(self._folder).address), timeout=TIMEOUT_S)
        return connect(self._folder, timeout=TIMEOUT_S, name="perdure status")

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close(0.0)
