"""What a `Connection` needs in order to reach an owner, and the way by the socket in the owner's folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from perdure.actors.sessions.listening.sockets import listener_name, peer_of, reach
from perdure.processes.to_owner.no_owner import why_no_answer

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from perdure.events.processes.log_reading import Reading
    from perdure.processes.to_owner.no_owner import NoAnswer

__all__ = ["FolderWay", "Reached", "Way"]


class Reached(NamedTuple):
    """A socket, connected, that does not block."""

    sock: socket.socket
    secret: bytes = b""
    """What the owner must prove that it knows; empty for nothing."""
    pid: int | None = None
    """The owner's process, where that is known."""


class Way(Protocol):
    """A way to an owner. `str` names the log."""

    pause_max_s: float
    """Between two tries to reach an owner, at most."""
    is_on_demand: bool
    """An owner is looked for only while something is asked; the connection may end while nothing is."""

    def reach(self) -> Reached:
        """Connect, without waiting for an answer.

        Raises:
            OSError: nothing was reached; says why.
        """

    def why_no_answer(
        self, refusal: str, last_error: str, *, pid: int | None, is_connected: bool, reading: Reading | None = None
    ) -> NoAnswer:
        """Return why no owner answers, and what to do; see `perdure.processes.to_owner.no_owner.why_no_answer`."""

    def rest(self) -> None:
        """Wait a moment until what was reached last is let go; its socket was shut down."""

    def discard_after_fork(self) -> None:
        """In a forked child: close what is the parent's."""


class FolderWay:
    """Reaches the process of this machine that owns a folder."""

    pause_max_s = 0.2
    is_on_demand = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        """Name the folder."""
        return str(self._folder)

    def reach(self) -> Reached:
        """See `Way.reach`.

        Raises:
            OSError: as there.
        """
        try:
            sock, secret = reach(self._folder)
        except OSError as error:
            raise ConnectionError(f"{self._folder / listener_name()}: {error.strerror or error}") from error
        return Reached(sock, secret, peer_of(sock)[0] or None)

    def why_no_answer(
        self, refusal: str, last_error: str, *, pid: int | None, is_connected: bool, reading: Reading | None = None
    ) -> NoAnswer:
        """See `Way.why_no_answer`."""
        folder, now_s = self._folder, time.monotonic()
        return why_no_answer(folder, pid, refusal, last_error, is_connected=is_connected, reading=reading, now_s=now_s)

    def rest(self) -> None:
        """See `Way.rest`: a socket takes nothing of others."""

    def discard_after_fork(self) -> None:
        """See `Way.discard_after_fork`: the connection closes its socket itself."""
