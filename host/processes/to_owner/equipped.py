"""`Equipped`: what the parts of a process enter into its exchange with an owner, before the first call.

A member enters what its workers need, a client that spools or goes through a database what its requests need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.sessions.framing.moments import AHEAD, as_sent
from perdure.actors.sessions.session import LOOKS_AT_SPOOL

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.health import OwnersLife
    from perdure.actors.requests.request import Request

__all__ = ["Equipped"]


class Equipped:
    """The part of an `Exchange` that others fill in. Without any of it, all requests are sent as they are."""

    def __init__(self) -> None:
        self.first_frames: list[Callable[[], list[bytes]]] = []
        """Each returns frames that every owner is sent before it is asked anything: called at each welcome."""
        self.is_local: Callable[[Request], bool] = lambda _: False
        """Returns whether an actor of this process answers a request, which is not sent then."""
        self.local: Callable[[], int] = lambda: 0
        """Returns how many such requests there may be now."""
        self.crossing: Callable[[Any], Any] = lambda command: command
        """Returns a command as it crosses."""
        self.is_member = False
        """The owner wants to know all the time that this process is alive."""
        self.origin: Callable[[], str] = lambda: ""
        """Returns the name of this process in what it checks out by hand; empty: it checks nothing out."""
        self.sent_with_pings: Callable[[], list[Any]] = list
        """Returns what goes along with a sign of life, for each owner anew."""
        self.ahead_us: Callable[[], int] = lambda: 0
        """Returns by how much this process's clock is ahead of the one that both ends can read; see `framing.moments`."""
        self.reads_moments = False
        """Whether this owner reads moments in terms of that clock."""
        self.owner_looks = False
        """Whether this owner looks at the spool when it is told that something is there."""
        self.descriptors: list[int] = []
        """What goes along with the first frame of a connection."""

    def on_the_way(self, command: Any, *, to_owner: bool) -> Any:
        """Return a command as it crosses: to this owner, or else to whichever takes a spool file in."""
        command = self.crossing(command)
        return as_sent(command, self.ahead_us) if self.reads_moments or not to_owner else command

    def note_facts(self, facts: dict[str, Any], owner: OwnersLife) -> None:
        """Note from a welcome whether this owner reads moments so, and by how much its clock is ahead of this process's."""
        ahead_us = facts.get(AHEAD)
        self.reads_moments = isinstance(ahead_us, int)
        self.owner_looks = facts.get(LOOKS_AT_SPOOL) is True
        # Assigned once: a worker may look at any moment.
        owner.ahead_us = ahead_us - self.ahead_us() if isinstance(ahead_us, int) else 0

    def note_pong(self, elements: list[Any], owner: OwnersLife) -> None:
        """Note an owner's clock, which it sends with each answer to a member's sign of life."""
        if elements and isinstance(elements[0], int):
            owner.ahead_us = elements[0] - self.ahead_us()
