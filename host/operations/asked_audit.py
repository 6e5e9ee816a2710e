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
from perdure.operations.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from perdure.arguments.moments import Moment
    from perdure.operations.metrics import Metrics
    from perdure.operations.reading.acts import OperatorAct
    from perdure.operations.reading.record import Record
    from perdure.operations.reading.search import Found
    from perdure.store import LogReader, Verification

__all__ = ["AskedAudit", "Permit"]

Permit: TypeAlias = "Callable[[str, Callable[[], Iterable[str]]], None]"

TYPES_S = 5.0
"""How long the actors may take to name all types, before the log is read for them."""


class Ask(Protocol):
    """Asks an actor and returns its answer; see `RunningSystem.ask`."""

    def __call__(self, actor: str, command: Any, *, timeout_s: float) -> Any:
        """See `RunningSystem.ask`."""


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

    def _require_all(self, action: str) -> None:
        """Raise where a principal lacks the right for a type that there is; at once, where it lacks it for all together."""
        self._permit(action, lambda: ("",))
        self._permit(action, self._all)

    def events(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        type: str | type | None = None,
        message_id: str | None = None,
    ) -> Iterator[Record]:
        """See `Audit.events`; takes the right `reveal` for each type that there is."""
        self._require_all("reveal")
        return self._plain.events(since=since, until=until, type=type, message_id=message_id)

    def follow(
        self, wait: Callable[[], object], *, type: str | type | None = None, message_id: str | None = None
    ) -> Iterator[Record | None]:
        """See `Audit.follow`; takes the right `reveal` for each type that there is.

        Raises:
            NotAllowed: also later, in the iteration: a message of a new type was published, and the principal that called lacks
                the right for it.
        """
        permitted: set[str] = set()

        def all_types() -> set[str]:
            permitted.update(self._all())
            return permitted

        self._permit("reveal", lambda: ("",))
        self._permit("reveal", all_types)
        followed = self._plain.follow(wait, type=type, message_id=message_id)
        return self._asked_of_new(followed, permitted, contextvars.copy_context()) if permitted else followed

    def _asked_of_new(
        self, followed: Iterator[Record | None], permitted: set[str], context: contextvars.Context
    ) -> Iterator[Record | None]:
        """Yield records, and ask once for each type that was published first after the call, on behalf of who called."""
        for record in followed:
            if record is not None and isinstance(record.event, ev.Published) and (name := record.event.type) not in permitted:
                context.run(self._permit, "reveal", {name: None}.keys)
                permitted.add(name)
            yield record

    def search(self, expression: str, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[Found]:
        """See `Audit.search`; takes the right `reveal` for each type that there is."""
        self._require_all("reveal")
        return self._plain.search(expression, since=since, until=until)

    def timeline(self, message_id: str, *, progress: Callable[[int], None] | None = None) -> list[Record]:
        """See `Audit.timeline`; takes the right `reveal` for all types in it."""
        self._permit("reveal", lambda: self._types_of(message_id))
        return self._plain.timeline(message_id, progress=progress)

    def explain(self, message_id: str, *, at: Moment | None = None, progress: Callable[[int], None] | None = None) -> str:
        """See `Audit.explain`; takes the right `look` for the message's type, and those of what it has caused."""
        self._permit("look", lambda: self._types_of(message_id))
        return self._plain.explain(message_id, at=at, progress=progress)

    def acts(self, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[OperatorAct]:
        """See `Audit.acts`; takes the right `look` for each type that there is."""
        self._require_all("look")
        return self._plain.acts(since=since, until=until)

    def state_at(self, when: Moment) -> Metrics:
        """See `Audit.state_at`; takes the right `look` for each type that there is."""
        self._require_all("look")
        return self._plain.state_at(when)

    def verify(self, progress: Callable[[int], None] | None = None, *, head: str | None = None) -> Verification:
        """See `Audit.verify`; takes the right `look`."""
        self._permit("look", lambda: ("",))
        return self._plain.verify(progress, head=head)
