"""The handler log of a scenario: each call of a handler, compared with the log of events at the moment the call begins.

What the handlers then do is in `scenarios.handlers`; answers to publishers are in `publisher_log`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.published_moments import PublishedMoments
from perdure.payloads.type_names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.actors.workers.context import Context
    from perdure.chaos.oracle.recording_system import RecordingSystem

__all__ = ["Call", "HandlerLog"]


@attrs.define(eq=False)
class Call:
    """One call of a handler for one attempt of one message, as the handler saw it."""

    type: str
    context: Context = attrs.field(repr=False)
    key: str | None
    """The key whose messages must not be handled beside each other; None if they may."""
    group: str | None
    home: object = None
    """The system of the process, where that began as a member."""
    elsewhere: bool = False
    """In a member, which may hear of anything late; or handed out to one that has become the owner since."""
    children: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    """By id, the messages that the handler published: the options of each."""
    ended: bool = False
    id: str = attrs.field(init=False)
    attempt: int = attrs.field(init=False)
    """The number of the attempt on record."""

    def __attrs_post_init__(self) -> None:
        """Note the message and the attempt: the context may change later."""
        self.id, self.attempt = self.context.id, self.context.fencing_token


@attrs.define(eq=False)
class HandlerLog:
    """The calls of handlers, over all processes of a scenario."""

    violations: list[str]
    """Shared with the other logs: violations found where raising would only fail a handler."""
    options: Mapping[str, Mapping[str, Any]]
    """By id: how the messages are published."""
    parallelism_max: Mapping[type[Any], int]
    """By type: how many of its messages may be handled at once; checked for these types only."""
    system: RecordingSystem = attrs.field(init=False)
    """The process that runs now."""
    moments: PublishedMoments = attrs.field(factory=PublishedMoments, init=False)
    """When handlers published messages."""
    paused: set[type[Any]] = attrs.field(factory=set, init=False)
    calls: dict[tuple[str, int], Call] = attrs.field(factory=dict, init=False)
    """By (id, attempt): all calls."""
    calls_here: dict[tuple[str, int], Call] = attrs.field(factory=dict, init=False)
    """Those of the process that runs now."""
    running: list[Call] = attrs.field(factory=list, init=False)
    spooled: set[str] = attrs.field(factory=set, init=False)
    """Ids that were spooled when this process began, and for which it had room: no handler of its own begins before they are on
    record."""
    has_room: Callable[[int], bool] = attrs.field(default=lambda _messages: True, init=False)
    """Returns whether the backlog has room for so many more messages."""
    _has_process: bool = attrs.field(default=False, init=False)
    _leased_before: set[tuple[str, int]] = attrs.field(factory=set, init=False)
    """Leases (id, attempt) that earlier processes recorded: a member may still hold one whose frame was lost in a failed sync."""

    def replace_process(self, system: RecordingSystem) -> None:
        """Go on with another process: the calls of the last one are over, and those of members go on."""
        if self._has_process:
            self._leased_before.update(self.system.recording.leases)
        self.system, self.spooled, self._has_process = system, set(), True
        self.running = [call for call in self.running if call.home is not None and not call.ended]
        self.calls_here = {ref: call for ref, call in self.calls.items() if call.home is system}

    def name_of(self, kind: type[Any]) -> str:
        """Return the recorded name of a type."""
        return name_of(kind)

    def begin(self, message: Any, ctx: Context, *, home: object = None) -> Call:
        """Enter a call that begins. Its lease must be recorded, its type not paused, its key, group and message not busy.

        `home`: the system of the process, where that began as a member. A member may begin what was on its way when its type was
        paused.
        """
        recording = self.system.recording
        options = self.options.get(ctx.id, {})
        key = None if options.get("dedup") == "append" or ctx.id not in self.options else ctx.key
        ref = (ctx.id, ctx.fencing_token)
        elsewhere = home is not None and (home is not self.system or ref in self._leased_before)
        call = Call(self.name_of(type(message)), ctx, key, options.get("group"), home, elsewhere)
        if not recording.leases[ref] and not (elsewhere and ref in self._leased_before):
            self.violations.append(f"the handler of {ctx.id} was called before its lease was recorded")
        if recording.is_stopped and (home is None or home is self.system):
            # A lease may be on record behind the stop: a member that goes on has it, or what never begins here is given back.
            self.violations.append(f"the handler of {ctx.id} was called after its process had stopped")
        if home is None and self.spooled:
            late = self.spooled - recording.published.keys()
            if late and self.has_room(len(late)):
                self.violations.append(f"the handler of {ctx.id} was called before {sorted(late)} was taken in from the spool")
            self.spooled = set()
        if type(message) in self.paused and not elsewhere:
            self.violations.append(f"the handler of {ctx.id} was called while it was paused")
        self.running = [other for other in self.running if not other.ended]
        for other in self.running:
            same_key = call.key is not None and (other.type, other.key) == (call.type, call.key)
            same_group = call.group is not None and other.group == call.group
            if (other.id, other.attempt) in recording.revived and not self.is_in_force(call):
                # The call was released when the other had ended. Then the disk lost that end, and this call's lease with it. A call
                # that is about to begin cannot be taken back; the queue's next term deals with both.
                continue
            beside = same_key or same_group or other.id == call.id
            if beside and self.is_in_force(other) and not other.context.cancelled:
                self.violations.append(f"{call} began beside {other}, whose lease is in force")
        self.running.append(call)
        if type(message) in self.parallelism_max:
            self._check_parallelism(call.type, self.parallelism_max[type(message)])
        self.calls[call.id, call.attempt] = call
        if home is None or home is self.system:
            self.calls_here[call.id, call.attempt] = call
        else:  # another process has the message under this number, since the disk has lost the lease of a call here
            self.calls_here.pop(ref, None)
        return call

    def publish(self, call: Call, child: Any, options: dict[str, Any]) -> None:
        """Publish from a handler, and enter it in the call.

        Raises:
            PerdureError: as `Context.publish`.
        """
        ident, clock = f"{call.id}.{call.attempt}.{len(call.children)}", self.system.executor.clock
        self.moments.begin([ident], clock)
        call.children[call.context.publish(child, id=ident, **options)] = options
        self.moments.end([ident], clock)

    def is_in_force(self, call: Call) -> bool:
        """Return whether a call is not over and holds its message's lease, as far as is recorded."""
        return not call.ended and self.system.recording.in_force.get(call.id) == call.attempt

    def check_stop(self) -> None:
        """Scenario 49: after an orderly stop, each call that had ended is recorded, or its message would be handled again."""
        recording = self.system.recording
        for ident, attempt in recording.in_force.items():
            call = self.calls_here.get((ident, attempt))
            lost = (ident, attempt) in recording.ended  # written, and lost with a failed sync: that costs a redelivery
            if call is not None and call.ended and not lost:
                self.violations.append(f"{call} had ended when the system stopped, and that is not recorded")

    def children(self, ident: str, attempt: int) -> dict[str, dict[str, Any]]:
        """Return what the handler of an attempt published: by id, the options of each message."""
        call = self.calls.get((ident, attempt))
        return {} if call is None else call.children

    def _check_parallelism(self, name: str, most: int) -> None:
        # Without those whose end the disk has lost: others were released by then, and what has begun cannot be taken back.
        revived = self.system.recording.revived
        running = [call for call in self.running if call.type == name and (call.id, call.attempt) not in revived]
        beside = [call for call in running if self.is_in_force(call)]
        if len(beside) > most:
            self.violations.append(f"{len(beside)} handlers of {name} run at once, where {most} may")
