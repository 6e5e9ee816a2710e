"""The owner's end of all simulated connections, without sockets and threads. The sessions are the real ones.

When each of them runs is up to the clients' connections (`simulated_client`). What an engine sees of it is in `simulated_server`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.departures.departed import Departed
from perdure.actors.sessions.framing.wire import HELLO_MAX, Assembler, BadFrame, Kind, pack
from perdure.actors.sessions.member_work.begin_marks import MarkReader
from perdure.actors.sessions.session import Ended, Session
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.actors.sessions.owner import Owner
    from perdure.chaos.simulation.processes.simulated_link import SimulatedLink

__all__ = ["OwnersEnd", "SimulatedSessions"]

LOOK_S = 0.25
"""How often it is looked whether a process whose connection has ended is gone."""


class OwnersEnd:
    """The owner's end of one connection."""

    def __init__(self, owner: Owner, link: SimulatedLink, sessions: SimulatedSessions) -> None:
        self.session = Session(owner, self._note_answers)
        self.has_answers = False
        self._sessions = sessions
        self._link = link
        self._frames = Assembler(HELLO_MAX)

    def _note_answers(self) -> None:
        """Send the one answer that is awaited in the turn of the actor that gives it, as `Peer.answer_now`; others later."""
        found = None if self.has_answers or self.is_over else self.session.only_answer()
        if found is None:
            self.has_answers = True
            return
        answer, frame = found
        self._link.to_client.append(frame)
        self.session.gone_out(answer)

    def take(self, frame: bytes) -> None:
        """Take a frame in. A peer that breaks the protocol loses its connection."""
        try:
            for kind, elements in self._frames.feed(frame):
                self._link.to_client.extend(self.session.take(kind, elements))
                self._sessions.note_known(self)
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
        if self._sessions.tells_news and not self._link.is_over:
            with contextlib.suppress(Ended):
                self._link.to_client.extend(self.session.news())
        elif self.session.member is not None:
            self.session.member.look()

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended."""
        return self._link.is_over

    def drop(self, why: PerdureError) -> None:
        """End the connection and send the client the reason."""
        if not self._link.is_over:
            self._link.to_client.append(pack(Kind.BYE, OBJECTS.packed(why)))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._link.is_over = True
        self._link.to_owner.clear()
        self.session.close()
        self._sessions.note_left(self)


class SimulatedSessions:
    """What listens for other processes in the simulated owner; a `Bystander` where it watches for departures.

    Args:
        owner: what the sessions need of it.
        now_s: returns the monotonic time; None: what a process has checked out by hand stays out until its lease ends, and its
            peers hear news only with answers.
    """

    def __init__(self, owner: Owner, now_s: Callable[[], float] | None = None) -> None:
        self._owner = owner
        self._now_s = now_s
        self.ends: list[OwnersEnd] = []
        self._departed = Departed(owner.consumer_gone)
        self._looked_s = 0.0
        self._left: set[str] = set()

    @property
    def tells_news(self) -> bool:
        """Whether members hear at once what has changed, which outboxes they relay for one."""
        return self._now_s is not None

    def origins(self) -> frozenset[str]:
        """Return the names of the processes that are connected."""
        return frozenset(end.session.origin for end in self.ends if not end.is_over) - {""}

    def note_known(self, end: OwnersEnd) -> None:
        """Note that a process has identified itself."""
        if self._now_s is not None and end.session.origin:
            self._departed.back(end.session.origin)
            self._left.discard(end.session.origin)

    def note_left(self, end: OwnersEnd) -> None:
        """Note that the connection of a process has ended."""
        origin = end.session.origin
        if self._now_s is not None and origin and origin not in self.origins():
            self._departed.left(origin, 0, self._now_s())
            self._left.add(origin)

    # --- turns, see `Bystander` --------------------------------------------------------------------------------------------

    def is_able(self) -> bool:
        """See `Bystander.is_able`."""
        return self._now_s is not None and bool(self._left) and self._now_s() >= self._looked_s + LOOK_S

    def turn(self) -> None:
        """See `Bystander.turn`: judge the processes whose connection has ended."""
        if self._now_s is not None:
            self._looked_s = self._now_s()
            self._departed.report_gone(self._looked_s)
            self._left &= self._departed.waited_for

    def next_s(self) -> float | None:
        """See `Bystander.next_s`."""
        return self._looked_s + LOOK_S if self._left else None

    def accept(self, link: SimulatedLink, descriptors: Iterable[int]) -> OwnersEnd:
        """Return the owner's end of a new connection, with which the peer sends copies of its descriptors."""
        end = OwnersEnd(self._owner, link, self)
        for fd in descriptors:
            end.session.marks = MarkReader(os.dup(fd))
        self.ends.append(end)
        return end

    def stop(self, why: PerdureError) -> None:
        """Answer what is done, and send all peers the reason why the rest is left to the next owner."""
        for end in self.ends:
            end.answer()
            end.drop(why)
        self.ends.clear()
