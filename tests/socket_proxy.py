"""A proxy in front of PostgreSQL's Unix socket, for tests: it cuts connections, swallows what goes over them, or leads elsewhere.

It stands in for a network between a host and its database: for its failures, and for an address that follows a failover.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

SOCKET = ".s.PGSQL.5432"
READ_BYTES = 1 << 16


class SocketProxy:
    """Leads to the server in a folder. `dsn` is how to connect through it."""

    def __init__(self, folder: Path) -> None:
        self.target = folder
        self.folder = Path(tempfile.mkdtemp(prefix="perdure-px-"))
        self.dsn = f"postgresql:///postgres?host={self.folder}&user=perdure"
        self._passes_on = threading.Event()
        self._passes_on.set()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listens = socket.socket(socket.AF_UNIX)
        self._listens.bind(os.fspath(self.folder / SOCKET))
        self._listens.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cut all connections, and listen no more."""
        self._listens.shutdown(socket.SHUT_RDWR)
        self._listens.close()
        self._passes_on.set()
        self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def lead_to(self, folder: Path) -> None:
        """Lead new connections to another server, and cut the others."""
        self.target = folder
        self.cut()

    def cut(self) -> None:
        """End all connections, on both sides."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for ends in pairs:
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def swallow(self) -> None:
        """Let nothing through, in either direction, and tell neither end."""
        self._passes_on.clear()

    def heal(self) -> None:
        """Let through what was held up, and all that follows."""
        self._passes_on.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listens.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._passes_on.wait()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(os.fspath(self.target / SOCKET))
        except OSError:
            near.close()
            far.close()
            return
        with self._lock:
            self._pairs.append((near, far))
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                self._passes_on.wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
