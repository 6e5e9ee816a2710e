"""Which handlers exist, how many workers each has and which are paused: the dispatcher's rules and their fold.

Pure. Workers are started in `actors/workers`; how messages are matched to workers is in `events/queue/leasing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from perdure.events import vocabulary as ev
from perdure.events.acts import on_handlers
from perdure.events.errors import UnknownMessageType

if TYPE_CHECKING:
    from perdure.events.acts import Act

__all__ = [
    "Adapt",
    "Configure",
    "Handler",
    "HandlersState",
    "Note",
    "Pause",
    "Register",
    "Resume",
    "Scale",
    "decide",
    "evolve",
    "outvoted",
]

WORKERS_MAX = 10_000


@attrs.define
class Handler:
    """One handler as last registered, and what an operator changed since."""

    registered: ev.HandlerRegistered
    scaled: int | None = None
    adapted: int | None = None
    changes: dict[str, Any] = attrs.field(factory=dict)
    """Options that an operator changed."""

    @property
    def parallelism(self) -> int:
        """How many workers the handler should have."""
        if self.scaled is not None:
            return self.scaled
        return self.registered.parallelism if self.adapted is None else self.adapted

    @property
    def own_parallelism(self) -> int | None:
        """How many workers the handler should have in each process, whatever its code says there; None: as its code says."""
        return self.adapted if self.scaled is None else self.scaled

    @property
    def has_grown(self) -> bool:
        """Whether it has grown above its minimum; a number that an operator set stays."""
        return self.scaled is None and self.registered.parallelism < self.parallelism <= self.registered.parallelism_max


@attrs.define
class HandlersState:
    """All handlers that were ever registered, by message type."""

    handlers: dict[str, Handler] = attrs.field(factory=dict)
    paused: bool = False
    paused_types: set[str] = attrs.field(factory=set)

    def is_paused(self, type_name: str) -> bool:
        """Return whether deliveries of a type are stopped."""
        return self.paused or type_name in self.paused_types


@attrs.frozen
class Register:
    """Register a handler of the host."""

    event: ev.HandlerRegistered


@attrs.frozen
class Scale:
    """Set the number of workers of a handler."""

    type: str
    parallelism: int
    act: Act | None = None


@attrs.frozen
class Adapt:
    """Set the number of workers of an elastic handler to follow its backlog."""

    type: str
    parallelism: int


@attrs.frozen
class Configure:
    """Change options of a handler, which the host has checked."""

    type: str
    changes: dict[str, Any]
    act: Act | None = None


@attrs.frozen
class Pause:
    """Stop deliveries of a type; of all where `type` is empty."""

    type: str
    act: Act | None = None


@attrs.frozen
class Resume:
    """Resume deliveries of a type; of all where `type` is empty."""

    type: str
    act: Act | None = None


@attrs.frozen
class Note:
    """Put an act on record that changes neither handlers nor messages, such as a snapshot."""

    act: Act
    type: str = ""


Command: TypeAlias = Register | Scale | Adapt | Configure | Pause | Resume | Note


def decide(state: HandlersState, command: Command) -> list[ev.Event]:
    """Return the events that follow from one command, the record of the operator's act included if it is one.

    Raises:
        UnknownMessageType: no handler for the type to scale.
        ValueError: a parallelism out of its range.
    """
    events = _changes(state, command)
    act = None if isinstance(command, Register | Adapt) else command.act
    return events if act is None else [*events, on_handlers(act, len(events))]


def _changes(state: HandlersState, command: Command) -> list[ev.Event]:
    match command:
        case Note():
            return []
        case Register(event):
            known = state.handlers.get(event.type)
            return [] if known is not None and not _replaces(event, known.registered) else [event]
        case Scale(type_name, parallelism):
            handler = _known(state, type_name)
            if not 0 <= parallelism <= WORKERS_MAX:
                msg = f"parallelism must be from 0 to {WORKERS_MAX:,}, not {parallelism}"
                raise ValueError(msg)
            return [] if handler.parallelism == parallelism else [ev.Scaled(type_name, parallelism)]
        case Adapt(type_name, parallelism):
            handler = _known(state, type_name)
            low, high = handler.registered.parallelism, handler.registered.parallelism_max
            wanted = max(low, min(parallelism, high))
            return [] if handler.scaled is not None or handler.parallelism == wanted else [ev.Adapted(type_name, wanted)]
        case Configure(type_name, changes):
            before = _known(state, type_name).changes
            return [] if {**before, **changes} == before else [ev.Reconfigured(type_name, changes)]
        case Pause(type_name):
            paused = type_name in state.paused_types if type_name else state.paused
            return [] if paused else [ev.Paused(type_name)]
        case Resume(""):
            return [ev.Resumed("")] if state.paused or state.paused_types else []
        case Resume(type_name):
            return [ev.Resumed(type_name)] if type_name in state.paused_types else []


def outvoted(known: ev.HandlerRegistered, asked: ev.HandlerRegistered) -> dict[str, tuple[Any, Any]]:
    """Return the options that another process has on record otherwise, each as (what was asked, what counts).

    Of processes that differ, the one that started last counts, in whatever order they register: an old one that connects anew
    during a rolling deploy changes nothing. Only options that the queue obeys are compared; all others are each process's own.
    """
    if not asked.started_us or known.started_us <= asked.started_us:
        return {}
    mine, counts = _queue_wide(asked), _queue_wide(known)
    return {name: (mine.get(name), counts.get(name)) for name in mine.keys() | counts.keys() if mine.get(name) != counts.get(name)}


def _replaces(asked: ev.HandlerRegistered, known: ev.HandlerRegistered) -> bool:
    """Return whether a registration comes in place of the one on record: see `outvoted`."""
    return known != asked and not known.started_us > asked.started_us > 0


def _queue_wide(registered: ev.HandlerRegistered) -> dict[str, Any]:
    more = registered.more or {}
    own = {"retries": registered.retries, "lease_us": registered.lease_us, "dedup": registered.dedup}
    return own | {name: more.get(name) for name in ("limit", "rate_per_s", "dedup_window_s", "key_parallelism")}


def _known(state: HandlersState, type_name: str) -> Handler:
    handler = state.handlers.get(type_name)
    if handler is None:
        msg = f"no handler for {type_name!r}; there are handlers for: {', '.join(sorted(state.handlers)) or 'nothing'}"
        raise UnknownMessageType(msg)
    return handler


def _still_changed(known: Handler, event: ev.HandlerRegistered) -> dict[str, Any]:
    """Return the operator's changes of those options whose value in the code is the same as before."""
    return {name: value for name, value in known.changes.items() if _asked(known.registered, name) == _asked(event, name)}


def _asked(registered: ev.HandlerRegistered, option: str) -> Any:
    """Return the value in the code of an option that an operator can change."""
    match option:
        case "timeout_s":
            return registered.timeout_us
        case "lease_s":
            return registered.lease_us
        case "retries":
            return registered.retries
        case _:
            return (registered.more or {}).get(option)


def evolve(state: HandlersState, event: ev.Event) -> HandlersState:
    """Fold one event into the state in place, and return the state."""
    match event:
        case ev.HandlerRegistered():
            known = state.handlers.get(event.type)
            # What an operator set outlives restarts, each option until the code itself asks for another value of it.
            keeps = known is not None and known.registered.parallelism == event.parallelism
            changes = {} if known is None else _still_changed(known, event)
            state.handlers[event.type] = Handler(event, known.scaled if known is not None and keeps else None, changes=changes)
        case ev.Adapted():
            state.handlers[event.type].adapted = event.parallelism
        case ev.Reconfigured():
            handler = state.handlers[event.type]
            handler.changes = {**handler.changes, **event.changes}
        case ev.Scaled():
            state.handlers[event.type].scaled = event.parallelism
        case ev.Paused(type=""):
            state.paused = True
        case ev.Paused():
            state.paused_types.add(event.type)
        case ev.Resumed(type=""):
            state.paused = False
            state.paused_types.clear()
        case ev.Resumed():
            state.paused_types.discard(event.type)
    return state
