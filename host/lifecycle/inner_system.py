"""`InnerSystem`: what a System offers the other rooms of host/, beside what it offers an application.

The cluster, whose partitions are Systems, uses most of it; `processes/roles` changes what a shared System stands on. What a Client
offers too is in `publishing/inner_calls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.publishing.inner_calls import InnerCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.events.codec.snapshot import States
    from perdure.handling.recurring.schedules import Schedule
    from perdure.handling.registration import Registration
    from perdure.processes.member import Member
    from perdure.publishing.drafts import Drafts
    from perdure.publishing.message_ids import Ids
    from perdure.runtime.engine import Engine
    from perdure.runtime.run import Run
    from perdure.store import EventStore, Recovered

__all__ = ["InnerSystem"]


@attrs.frozen(eq=False, kw_only=True)
class InnerSystem(InnerCalls):
    """How a room makes a System one part of something larger. Callable in any thread only where the attribute says so."""

    store: EventStore
    """Where its log is."""
    registered: Registration
    """Its handlers and schedules."""
    run: Callable[[], Run | None]
    """Returns what it stands on while it runs; None while it does not. In any thread."""
    failure: Callable[[], BaseException | None]
    """Returns why its run has ended by itself; None where it has not. In any thread."""
    end_grace: Callable[[], None]
    """Ends the grace period of a stop that is under way. In any thread."""
    check_may_block: Callable[[str, str, Iterable[str]], None]
    """Refuses to block the event loop on which the handlers of these types run; see `Running`."""
    forked: Callable[[int], None]
    """Takes note, in a forked child, that the threads have stayed with the parent, a process of this id."""

    # --- a partition of a cluster ----------------------------------------------------------------------------------------

    be_partition: Callable[[Drafts, Ids, RunGate], None]
    """Makes it a partition, before its start: it shares the cluster's names and policies of types, makes ids of its own, and its
    workers ask the gate before they call a handler."""
    enter: Callable[[HandlerSpec], None]
    """Registers a handler that was checked. In any thread."""
    enter_schedule: Callable[[Schedule], None]
    """Registers a schedule that was checked. In any thread."""

    # --- its role in a shared folder: in the thread that keeps the role ---------------------------------------------------

    belong: Callable[[Member], None]
    """Makes it a member of the owner there is."""
    belong_to_none: Callable[[Member], None]
    """Makes it a member without an owner yet, so that publishes are spooled."""
    member_anew: Callable[[Member], Member]
    """Returns a member in the place of one that has left its connection to become the owner, and could not."""
    own: Callable[[Recovered, Server, Member, Callable[[], bool], States | None], Engine]
    """Starts the actors on the store that is open, over the member's parts; nothing of them runs if it raises. Its last arguments
    are a function that returns whether the start was given up, and a fold of the log up to some point, which is not folded
    again."""
    record: Callable[[Recovered, Member], Engine]
    """Starts the actors on the store that is open for what has ended in a member that stops; nothing is handed out."""
    hand_over: Callable[[], Member | None]
    """Ends the owner's actors in good order and frees the folder; returns what goes on as a member. None: it owns nothing."""
    free: Callable[[], None]
    """Ends what runs after it has given up, so that another process can own the folder."""
