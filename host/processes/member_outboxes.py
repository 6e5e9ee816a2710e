"""`MemberOutboxes`: the outboxes of a process that does not own its folder. The owner has one process relay each (`Relayers`).

What reads them is the relay of this process (`perdure.actors.services.relay`), as far as the owner grants it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from perdure.actors.core.extensions import Granted
from perdure.actors.core.messages import Wake
from perdure.actors.sessions.framing.wire import Kind, pack
from perdure.actors.sessions.session import RELAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.services.runtime import HandlerRuntime

__all__ = ["MemberOutboxes"]


class MemberOutboxes:
    """Reports to each owner which outboxes this process has, and takes from it which of them to relay: none before that.

    Args:
        runtime: the process's.
        post: sends a frame to the owner there is; may be called in any thread.
    """

    def __init__(self, runtime: HandlerRuntime, post: Callable[[bytes], None]) -> None:
        self._runtime = runtime
        self._post = post
        self._granted = runtime.extensions.granted = Granted(self._hurry)
        self._count = itertools.count(1)
        self._news = 0

    def leave(self) -> None:
        """Leave it to this process, which owns the folder from now on: it relays all that it has."""
        self._runtime.extensions.granted = None  # a late answer of the owner before is entered in an object that nothing reads
        self._runtime.directory.tell("relay", Wake())

    def claims(self) -> list[list[Any]]:
        """Return what goes to the owner with each sign of life."""
        return [[name, self._news] for name in self._runtime.extensions.shared_outboxes()]

    def first_frames(self) -> list[bytes]:
        """Return the first frames to every owner that this process has joined."""
        claims = self.claims()
        return [pack(Kind.PING, *claims)] if claims else []

    def take(self, facts: dict[str, Any]) -> None:
        """Take the facts that the owner sends. Called in the connection's thread."""
        names = facts.get(RELAYS, {})
        if names != self._granted.names:
            self._granted.names = names
            self._runtime.directory.tell("relay", Wake())

    def _hurry(self) -> None:
        """Notify the owner of new rows in an outbox: another process may relay it. In any thread."""
        self._news = next(self._count)
        for frame in self.first_frames():
            self._post(frame)
