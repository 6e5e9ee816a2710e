"""The owner's end of all simulated connections: what `perdure.actors.sessions.server` does, without sockets and threads.

The sessions are the real ones. Whose turn it is is up to the clients' connections (`simulated_client`).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from perdure.actors.sessions.begin_marks import MarkReader
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.wire import HELLO_MAX, Assembler, BadFrame, Kind, pack
from perdure.actors.sessions.session import Ended, Session
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.sessions.session import Owner
    from perdure.chaos.simulation.simulated_link import SimulatedLink

__all__ = ["OwnersEnd", "SimulatedSessions"]


class OwnersEnd:
    """The owner's end of one connection."""

    def __init__(self, owner: Owner, link: SimulatedLink) -> None:
        self.session = Session(owner, self._note_answers)
        self.has_answers = False
        self._link = link
        self._frames = Assembler(HELLO_MAX)

    def _note_answers(self) -> None:
        self.has_answers = True

    def take(self, frame: bytes) -> None:
        """Take a frame in. A peer that breaks the protocol loses its connection."""
        try:
            for kind, elements in self._frames.feed(frame):
                self._link.to_client.extend(self.session.take(kind, elements))
        except Ended as ended:
            self.drop(ended.reason)
        except BadFrame as error:
            self.drop(PerdureError(str(error)))

    def answer(self) -> None:
        """Send the answers that are there."""
        self.has_answers = False
        self._link.to_client.extend(self.session.frames())
        with contextlib.suppress(Ended):
            self._link.to_client.extend(self.session.news())
        if self.session.over is not None:
            self.drop(self.session.over)

    def look(self) -> None:
        """See whether a member still gives signs of life, as the server does several times a second."""
        if self.session.member is not None:
            self.session.member.look()

    def drop(self, why: PerdureError) -> None:
        """End the connection and tell the client why."""
        if not self._link.is_over:
            self._link.to_client.append(pack(Kind.BYE, OBJECTS.packed(why)))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._link.is_over = True
        self._link.to_owner.clear()
        self.session.close()


class SimulatedSessions:
    """What listens for other processes in one simulated process that owns the folder."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.ends: list[OwnersEnd] = []

    def accept(self, link: SimulatedLink, descriptors: Iterable[int]) -> OwnersEnd:
        """Return the owner's end of a new connection, with which the peer sends copies of its descriptors."""
        end = OwnersEnd(self._owner, link)
        for fd in descriptors:
            end.session.marks = MarkReader(os.dup(fd))
        self.ends.append(end)
        return end

    def stop(self, why: PerdureError) -> None:
        """Answer what is done, and tell all peers why the rest is left to the next owner."""
        for end in self.ends:
            end.answer()
            end.drop(why)
        self.ends.clear()
