"""`AskedAudit`: the `audit` of a System, which asks for the right of a principal (`acting_as`) before it reads.

Events have payloads in them, so they take `reveal`; counts, acts and explanations take `look`. Not here: `Audit` itself, which
reads files for any program that can open them (`audit`).
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Protocol, TypeAlias

from perdure.actors.core.messages import Report
from perdure.actors.journal.log_fold import fold_log
from perdure.events import vocabulary as ev
from perdure.events.errors import PerdureError
from perdure.operations.audit import Audit, means_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from perdure.arguments.moments import Moment
    from perdure.operations.audit import Wanted
    from perdure.operations.metrics import Metrics
    from perdure.operations.reading.acts import OperatorAct
    from perdure.operations.reading.record import Record
    from perdure.operations.reading.search import Found
    from perdure.store import LogReader, Verification

__all__ = ["AskedAudit", "Permit", "ReadFor", "TypesAsked"]

Permit: TypeAlias = "Callable[[str, Callable[[], Iterable[str]]], None]"
"""Raises NotAllowed where the principal that acts, if any, may not do an action to messages of the types that are returned."""

OF_HANDLERS = ("pause", "resume", "scale", "configure")
"""Acts whose subject is a type."""

TYPES_S = 5.0
"""How long the actors may take to name all types, before the log is read for them."""


class Ask(Protocol):
    """Asks an actor and returns its answer; see `RunningSystem.ask`."""

    def __call__(self, actor: str, command: Any, *, timeout_s: float) -> Any:
        """See `RunningSystem.ask`."""


class TypesAsked:
    """The types for which the principal that acts when this is made has a right; each is asked for once. For one thread.

    Args:
        permit: see `Permit`.
        action: the right.
    """

    def __init__(self, permit: Permit, action: str) -> None:
        self._permit = permit
        self._action = action
        self._acting = contextvars.copy_context()
        self._known: set[str] = set()

    @property
    def is_limited(self) -> bool:
        """Whether there was anything to ask; False: no principal acts, or all may do all."""
        return bool(self._known)

    def require(self, types: Callable[[], Iterable[str]]) -> None:
        """Ask for types that were not asked for yet; `types` is called where there is anything to ask.

        Raises:
            NotAllowed: the principal lacks the right for one of them.
        """
        new: set[str] = set()

        def not_yet_asked() -> set[str]:
            new.update(types())
            return new - self._known

        self._acting.run(self._permit, self._action, not_yet_asked)
        self._known |= new

    def require_of(self, event: ev.Event, name: str | None) -> None:
        """As `require`, for what an event is about; `name`: the type of its message, if it is about one."""
        if isinstance(event, ev.HandlersAdministered) and event.action in OF_HANDLERS:
            name = event.subject
        if name and name not in self._known:
            self.require({name: None}.keys)


class ReadFor(Audit):
    """As `Audit`, for a principal: its iterators raise NotAllowed at the first event of a type for which that lacks the right."""

    def __init__(self, log: LogReader, asked: TypesAsked) -> None:
        super().__init__(store=log)
        self._asked = asked

    def _wanted(self, kind: str | type | None) -> Wanted | None:
        wanted = super()._wanted(kind)
        if not self._asked.is_limited:
            return wanted
        # Of a kind of event, others are asked for as well: an act on messages does not say of what type they are.
        is_of_messages = wanted is not None and not means_event(kind)

        def wanted_and_asked_for(event: ev.Event, name: str | None) -> bool:
            if is_of_messages and wanted is not None and not wanted(event, name):
                return False
            self._asked.require_of(event, name)
            return wanted is None or wanted(event, name)

        return wanted_and_asked_for


class AskedAudit(Audit):
    """As `Audit`; each method also raises NotAllowed, before it reads, where a principal lacks the right.

    Args:
        log: what is read.
        permit: raises where the principal that acts, if any, may not do an action to messages of some types.
        ask: asks an actor that writes the log, if one runs; None where none can be asked.
    """

    def __init__(self, log: LogReader, permit: Permit, ask: Ask | None = None) -> None:
        super().__init__(store=log)
        self._plain = Audit(store=log)
        self._permit = permit
        self._ask = ask

    def _types_of(self, message_id: str) -> list[str]:
        """Return the types of a message and of all that it has caused."""
        return sorted({record.event.type for record in self._plain.timeline(message_id) if isinstance(record.event, ev.Published)})

    def _all(self) -> set[str]:
        """Return all types that the log knows, and the empty name, for what is about all of them together.

        Actors that run have them at hand. Without them it takes a second state of the queue, made from the whole log.
        """
        if self._ask is not None:
            try:
                by_type = self._ask("queue", Report(), timeout_s=TYPES_S).by_type
                return {"", *by_type, *self._ask("dispatcher", Report(), timeout_s=TYPES_S)}
            except (PerdureError, TimeoutError):
                pass  # they do not run, or do not answer: the log can be read all the same
        states, _ = fold_log(self._log)
        return {"", *states.queue.by_type, *states.handlers.handlers}

    def _read_for_all(self, action: str) -> Audit:
        """Return what reads for the principal that acts, if any.

        Raises:
            NotAllowed: it lacks the right for a type that there is, or, at once, for all together.
        """
        asked = TypesAsked(self._permit, action)
        asked.require(lambda: ("",))
        asked.require(self._all)
        return ReadFor(self._log, asked)

    def events(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        type: str | type | None = None,
        message_id: str | None = None,
    ) -> Iterator[Record]:
        """See `Audit.events`; takes the right `reveal` for each type that there is.

        Raises:
            NotAllowed: also later, in the iteration: an event is about a type that came after the call, and the principal that
                called lacks the right for it.
        """
        return self._read_for_all("reveal").events(since=since, until=until, type=type, message_id=message_id)

    def follow(
        self, wait: Callable[[], object], *, type: str | type | None = None, message_id: str | None = None
    ) -> Iterator[Record | None]:
        """See `Audit.follow`; takes the right `reveal` for each type that there is.

        Raises:
            NotAllowed: also later, as `events`. With the name of a type or an id, only events of that are asked for.
        """
        return self._read_for_all("reveal").follow(wait, type=type, message_id=message_id)

    def search(self, expression: str, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[Found]:
        """See `Audit.search`; takes the right `reveal` for each type that there is, also later, as `events`."""
        return self._read_for_all("reveal").search(expression, since=since, until=until)

    def timeline(self, message_id: str, *, progress: Callable[[int], None] | None = None) -> list[Record]:
        """See `Audit.timeline`; takes the right `reveal` for all types in it."""
        self._permit("reveal", lambda: self._types_of(message_id))
        return self._plain.timeline(message_id, progress=progress)

    def explain(self, message_id: str, *, at: Moment | None = None, progress: Callable[[int], None] | None = None) -> str:
        """See `Audit.explain`; takes the right `look` for the message's type, and those of what it has caused."""
        self._permit("look", lambda: self._types_of(message_id))
        return self._plain.explain(message_id, at=at, progress=progress)

    def acts(self, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[OperatorAct]:
        """See `Audit.acts`; takes the right `look` for each type that there is, also later, as `events`."""
        return self._read_for_all("look").acts(since=since, until=until)

    def state_at(self, when: Moment) -> Metrics:
        """See `Audit.state_at`; takes the right `look` for each type that there is."""
        return self._read_for_all("look").state_at(when)

    def verify(self, progress: Callable[[int], None] | None = None, *, head: str | None = None) -> Verification:
        """See `Audit.verify`; takes the right `look`."""
        self._permit("look", lambda: ("",))
        return self._plain.verify(progress, head=head)
