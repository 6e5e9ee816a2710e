"""`Owner`: what a session needs of the run that answers its peer. Made in `perdure.runtime.sharing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.bounds import Bounds
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.handover import HandOver
    from perdure.actors.sessions.member_work.member_session import MemberServices
    from perdure.events.commands import Draft

__all__ = ["Owner"]


@attrs.frozen(kw_only=True)
class Owner:
    """What a session needs of the run that answers it."""

    pending: PendingRequests
    bounds: Bounds
    facts: Callable[[], dict[str, Any]]
    """Returns the plain values that a peer needs to make its requests."""
    figures: Callable[[], RunFigures]
    check_changes: Callable[[dict[str, Any]], Any]
    """Checks the options that an operator changes."""
    hand_over: Callable[[HandOver], bool] = lambda _: False
    """Returns whether the folder is let go for another process, which then begins."""
    consumer_gone: Callable[[str], None] = lambda _: None
    """Takes the origin of a process that is gone, and returns what it had checked out by hand to the queue."""
    members: MemberServices | None = None
    """What feeds the workers of other processes; None: none may have handlers."""
    under_policy: Callable[[Draft], Draft] = lambda draft: draft
    """Returns a draft with a key under its handler's policy: a peer may have made it before it knew that."""
    ahead_us: Callable[[], int] = lambda: 0
    """Returns by how much the owner's clock is ahead of the one that its peers can read, too; see `framing.moments`."""
    look_at_spool: Callable[[], None] = lambda: None
    """Has what is spooled taken in now, and not at the next look."""
    permit: Callable[[str, str, Sequence[str]], None] | None = None
    """Raises NotAllowed where a principal may not do an action to messages of these types; None: there is nothing to ask."""
