"""`OwnersFigures`: what the process that owns a folder knows beyond its log: waits, runs, workers by process. For `perdure status`.

What the log knows is `perdure.operations.watch`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perdure.actors.sessions.doors.sockets import SOCKET_NAME
from perdure.connecting import connect
from perdure.events.errors import PerdureError
from perdure.store import is_postgres

if TYPE_CHECKING:
    from perdure.operations.metrics import HandlerInfo
    from perdure.processes.client import Client

__all__ = ["OwnersFigures"]

TIMEOUT_S = 1.0
"""How long a look waits for the owner."""


class OwnersFigures:
    """Asks the owner of a folder again and again, where one takes questions. For one thread."""

    def __init__(self, folder: str) -> None:
        self._socket = None if is_postgres(folder) else Path(folder) / SOCKET_NAME
        self._folder = folder
        self._client: Client | None = None

    def look(self) -> dict[str, HandlerInfo] | None:
        """Return the handlers as they run now; None where no owner answers, or it refuses."""
        if self._socket is None or not self._socket.exists():
            return None
        try:
            if self._client is None:
                self._client = connect(self._folder, timeout=TIMEOUT_S, name="perdure status")
            return self._client.admin.handlers()
        except (PerdureError, OSError):
            return None

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close(0.0)
