"""`Equipped`: what the parts of a process enter into its exchange with an owner, before the first call.

A member enters what its workers need, a client that spools or goes through a database what its requests need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.request import Request

__all__ = ["Equipped"]


class Equipped:
    """The part of an `Exchange` that others fill in. Without any of it, all requests are sent as they are."""

    def __init__(self) -> None:
        self.first_frames: list[Callable[[], list[bytes]]] = []
        """Each returns frames that every owner is sent before it is asked anything: called at each welcome."""
        self.is_local: Callable[[Request], bool] = lambda _: False
        """Tells of a request whether an actor of this process answers it: it is not sent."""
        self.local: Callable[[], int] = lambda: 0
        """Returns how many such requests there may be now."""
        self.crossing: Callable[[Any], Any] = lambda command: command
        """Returns a command as it crosses."""
        self.is_member = False
        """The owner wants to know all the time that this process is alive."""
        self.origin: Callable[[], str] = lambda: ""
        """Returns the name of this process in what it checks out by hand; empty: it checks nothing out."""
        self.told_with_pings: Callable[[], list[Any]] = list
        """Returns what goes along with a sign of life, for each owner anew."""
        self.descriptors: list[int] = []
        """What goes along with the first frame of a connection."""
