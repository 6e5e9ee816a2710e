"""`MemberHandlers`: the handlers of a process that another one's queue feeds, and their frames.

It knows no socket: frames that the owner sends are taken by `takers`, and its own go to `post`. Which process owns the folder may
change; each owner is sent what the workers hold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from perdure.actors.core.health import OwnersLife
from perdure.actors.core.messages import Outcomes, Quiesce, WhenStaffed
from perdure.actors.members.member_roles import member_roles
from perdure.actors.members.owner_words import Configured, Overdue, Revoked, Setting
from perdure.actors.services.succession import Succession
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.delivered import taken, worded
from perdure.actors.sessions.framing.wire import BadFrame, Kind, pack
from perdure.actors.sessions.member_work.begin_marks import BeginMarks
from perdure.events.loggers import GuardedLogger
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.request import Request
    from perdure.actors.services.runtime import HandlerRuntime

__all__ = ["MemberHandlers"]

logger = GuardedLogger("perdure")

WITHDRAWN_MAX = 10_000
"""How many deliveries that the owner took back are remembered: their outcomes are reported with id and attempt."""
LEAVE_S = 2.0
"""How long an actor has to end whose place an owner's takes."""


class MemberHandlers:
    """The actors of a member, and its frames to the owner about its workers.

    Args:
        runtime: the parts of this process that outlive its role.
        post: sends a frame to the owner, if there is one; may be called in any thread.
        before: the handlers of the connection that was left, if there was one: its workers go on with their marks.
    """

    def __init__(self, runtime: HandlerRuntime, post: Callable[[bytes], None], before: MemberHandlers | None = None) -> None:
        self.runtime = runtime
        self.settings: dict[str, Setting] = {}
        """See `OwnerPort.settings`."""
        self._post = post
        self._subscribed: dict[str, tuple[int, int]] = {}
        self._told: dict[str, int] = {}
        """By type, how many calls of its handler the times that were last sent to the owner had counted."""
        self._withdrawn: dict[int, tuple[str, int]] = {}
        self._handed: WeakSet[LeaseBatch] = WeakSet()
        """Lease batches that the connected owner has handed out: it knows these deliveries by their numbers. A worker may end a
        delivery of an earlier connection at any time, and only this set distinguishes the two."""
        self._marks: BeginMarks | None = _marks() if before is None else before._marks  # noqa: SLF001 - of its own class
        self._succession = Succession(runtime, member_roles(runtime, self, self._marks))

    @property
    def descriptors(self) -> list[int]:
        """What goes along with the first frame to each owner."""
        return [] if self._marks is None else [self._marks.fd]

    def start(self) -> None:
        """Start the actors."""
        self._succession.begin()

    def end(self) -> None:
        """Replace no supervisor any more."""
        self._succession.end()

    def leave(self) -> None:
        """End the actors whose places an owner's take. Workers, timer and what they have in hand stay.

        Workers begin no earlier delivery until `own`: another owner may have handed it out again, as only the log shows.
        """
        self._succession.end()
        executor, actors = self.runtime.executor, self.runtime.directory.actors
        for name in ("supervisor", "dispatcher"):
            actor = actors.get(name)
            if actor is None:
                continue
            if actor.actor_ref.is_alive():
                actor.actor_ref.stop(block=False)
            executor.join(actor, LEAVE_S)
            if executor.runs(actor):
                actor.kill()
            if actors.get(name) is actor:
                del actors[name]

    def own(self) -> None:
        """Take note that this process is the owner, and has read the log."""
        self.runtime.health.owner = OwnersLife(math.inf)

    # --- requests ----------------------------------------------------------------------------------------------------------

    @staticmethod
    def is_local(request: Request) -> bool:
        """Return whether a request is for an actor of this process, not for the owner."""
        return isinstance(request.command, (WhenStaffed, Quiesce))

    def crossing(self, command: Any) -> Any:
        """Return a command as it crosses to the owner."""
        return worded(command, self._handed, self._withdrawn) if isinstance(command, Outcomes) else command

    # --- frames to the owner -----------------------------------------------------------------------------------------------

    def first_frames(self) -> list[bytes]:
        """Return the first frames to every owner: which process joins, what it handles, what its workers hold."""
        runtime = self.runtime
        self._told.clear()
        self._handed = WeakSet()
        frames = [pack(Kind.JOIN, runtime.run, runtime.executor.pid(), runtime.started_us)]
        rows = [row for name in list(self._subscribed) if (row := self._subscription(name)) is not None]
        if rows:
            frames.append(pack(Kind.SUBSCRIBE, *rows))
        held = [[name, refs] for name, pool in runtime.pools.by_type.items() if (refs := _held(list(pool.open.values())))]
        if held:
            frames.append(pack(Kind.REATTACH, *held))
        return frames

    def subscribe(self, type_name: str, may_be_out: int, slots: int) -> None:
        """See `OwnerPort.subscribe`."""
        if self._subscribed.get(type_name) != (may_be_out, slots):
            self._subscribed[type_name] = (may_be_out, slots)
            row = self._subscription(type_name)
            if row is not None:
                self._post(pack(Kind.SUBSCRIBE, row))

    def times(self) -> list[Any]:
        """Return, by type, how long messages waited and handlers took, where more have since the last time."""
        rows = []
        for name, pool in self.runtime.pools.by_type.items():
            if self._told.get(name, 0) != pool.runs.count:
                self._told[name] = pool.runs.count
                rows.append([name, pool.runs.buckets.copy(), pool.waits.buckets.copy()])
        return rows

    def _subscription(self, type_name: str) -> list[Any] | None:
        pool = self.runtime.pools.by_type.get(type_name)
        room = self._subscribed.get(type_name)
        if pool is None or room is None:
            return None
        version = max(1, self.runtime.pools.version_of(type_name))
        return [*room, version, OBJECTS.packed(pool.registered.registration())]

    # --- frames of the owner -----------------------------------------------------------------------------------------------

    @property
    def takers(self) -> dict[Kind, Callable[[list[Any]], None]]:
        """By kind of frame, what takes its elements; raises ValueError or TypeError where they are none."""
        return {
            Kind.DELIVER: self._delivered,
            Kind.REVOKE: self._revoked,
            Kind.CONFIGURE: self._configured,
            Kind.OVERDUE: lambda elements: self.runtime.directory.tell("dispatcher", Overdue(*elements)),
        }

    def _delivered(self, elements: list[Any]) -> None:
        type_name, plain, single = elements
        pool = self.runtime.pools.by_type.get(type_name)
        if pool is None:
            msg = f"deliveries of {type_name}, which has no handler here"
            raise BadFrame(msg)
        deliveries = taken(type_name, plain, single, OBJECTS.object)
        self._handed.update({delivery.lease for delivery in deliveries if isinstance(delivery.lease, LeaseBatch)})
        if self._withdrawn:
            for delivery in deliveries:
                self._withdrawn.pop(delivery.number, None)
        pool.deliver(deliveries)
        if pool.closed:  # it was handed out before the owner knew that it is not taken any more
            self.runtime.directory.tell("dispatcher", Configured(type_name))

    def _revoked(self, elements: list[Any]) -> None:
        revoked = Revoked(*elements)
        self._withdrawn[revoked.number] = (revoked.id, revoked.attempt)
        while len(self._withdrawn) > WITHDRAWN_MAX:
            self._withdrawn.pop(next(iter(self._withdrawn)), None)
        self.runtime.directory.tell("dispatcher", revoked)

    def _configured(self, elements: list[Any]) -> None:
        type_name, parallelism, changes, paused = elements
        setting = Setting(parallelism, changes, paused)
        if self.settings.get(type_name) != setting:
            self.settings[type_name] = setting
            self.runtime.directory.tell("dispatcher", Configured(type_name))


def _held(deliveries: list[Any]) -> list[list[Any]]:
    """Return the rows that report deliveries as held; those that have ended are left out, as their outcomes are reported."""
    return [[*delivery.attempt_ref] for delivery in deliveries if delivery.outcome is None and not delivery.lost]


def _marks() -> BeginMarks | None:
    try:
        return BeginMarks()
    except (OSError, AttributeError) as error:
        logger.debug("what begins here is not marked: %s", error)
        return None
