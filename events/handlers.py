"""Which handlers exist, how many workers each has and which are paused: the dispatcher's rules and their fold.

Who runs on which thread is the actor's business; how messages are matched to workers is in `queue_rules.deliver`.
"""

from __future__ import annotations

import attrs

from perdure.events import vocabulary as ev
from perdure.events.errors import UnknownMessageType

__all__ = ["Handler", "HandlersState", "Pause", "Register", "Resume", "Scale", "decide", "evolve"]


@attrs.define
class Handler:
    """One handler as last registered, and what an operator changed since."""

    registered: ev.HandlerRegistered
    scaled: int | None = None

    @property
    def parallelism(self) -> int:
        """How many workers it should have."""
        return self.registered.parallelism if self.scaled is None else self.scaled


@attrs.define
class HandlersState:
    """All handlers that were ever registered, by message type."""

    handlers: dict[str, Handler] = attrs.field(factory=dict)
    paused: bool = False
    paused_types: set[str] = attrs.field(factory=set)

    def is_paused(self, type_name: str) -> bool:
        """Tell whether deliveries of a type are stopped."""
        return self.paused or type_name in self.paused_types


@attrs.frozen
class Register:
    """A host has a handler for a type."""

    fact: ev.HandlerRegistered


@attrs.frozen
class Scale:
    """Give a handler `parallelism` workers."""

    type: str
    parallelism: int


@attrs.frozen
class Pause:
    """Stop deliveries of a type; of all where `type` is empty."""

    type: str


@attrs.frozen
class Resume:
    """Let deliveries of a type go on; of all where `type` is empty."""

    type: str


def decide(state: HandlersState, command: Register | Scale | Pause | Resume) -> list[ev.Event]:
    """Give the facts that follow from one command; none where it changes nothing.

    Raises:
        UnknownMessageType: no handler for the type to scale.
        ValueError: a parallelism below 0.
    """
    match command:
        case Register(fact):
            known = state.handlers.get(fact.type)
            return [] if known is not None and known.registered == fact else [fact]
        case Scale(type_name, parallelism):
            handler = state.handlers.get(type_name)
            if handler is None:
                msg = f"no handler for {type_name!r}; there are handlers for: {', '.join(sorted(state.handlers)) or 'nothing'}"
                raise UnknownMessageType(msg)
            if parallelism < 0:
                msg = f"parallelism must be 0 or more, not {parallelism}"
                raise ValueError(msg)
            return [] if handler.parallelism == parallelism else [ev.Scaled(type_name, parallelism)]
        case Pause(type_name):
            paused = type_name in state.paused_types if type_name else state.paused
            return [] if paused else [ev.Paused(type_name)]
        case Resume(""):
            return [ev.Resumed("")] if state.paused or state.paused_types else []
        case Resume(type_name):
            return [ev.Resumed(type_name)] if type_name in state.paused_types else []


def evolve(state: HandlersState, event: ev.Event) -> HandlersState:
    """Fold one fact into the state (in place) and give it back."""
    match event:
        case ev.HandlerRegistered():
            known = state.handlers.get(event.type)
            # An operator's scale outlives restarts, until the code itself asks for another number.
            keeps = known is not None and known.registered.parallelism == event.parallelism
            state.handlers[event.type] = Handler(event, known.scaled if known is not None and keeps else None)
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
