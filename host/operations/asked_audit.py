"""`AskedAudit`: the `audit` of a System, which asks for the right of a principal (`acting_as`) before it reads.

Events have payloads in them, so they take `reveal`; counts, acts and explanations take `look`. Not here: `Audit` itself, which
reads files for any program that can open them (`audit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.actors.journal.log_fold import fold_log
from perdure.events import vocabulary as ev
from perdure.operations.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from perdure.arguments.moments import Moment
    from perdure.operations.metrics import Metrics
    from perdure.operations.reading.acts import OperatorAct
    from perdure.operations.reading.record import Record
    from perdure.operations.reading.search import Found
    from perdure.store import LogReader, Verification

__all__ = ["AskedAudit", "Permit"]

Permit: TypeAlias = "Callable[[str, Callable[[], Iterable[str]]], None]"


class AskedAudit(Audit):
    """As `Audit`; each method also raises NotAllowed, before it reads, where a principal lacks the right.

    Args:
        log: what is read.
        permit: raises where the principal that acts, if any, may not do an action to messages of some types.
    """

    def __init__(self, log: LogReader, permit: Permit) -> None:
        super().__init__(store=log)
        self._plain = Audit(store=log)
        self._permit = permit

    def _types_of(self, message_id: str) -> list[str]:
        """Return the types of a message and of all that it has caused."""
        return sorted({record.event.type for record in self._plain.timeline(message_id) if isinstance(record.event, ev.Published)})

    def _all(self) -> set[str]:
        """Return all types that the log knows, and the empty name, for what is about all of them together."""
        states, _ = fold_log(self._log)
        return {"", *states.queue.by_type, *states.handlers.handlers}

    def events(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        type: str | type | None = None,
        message_id: str | None = None,
    ) -> Iterator[Record]:
        """See `Audit.events`; takes the right `reveal` for each type that there is."""
        self._permit("reveal", self._all)
        return self._plain.events(since=since, until=until, type=type, message_id=message_id)

    def follow(
        self, wait: Callable[[], object], *, type: str | type | None = None, message_id: str | None = None
    ) -> Iterator[Record | None]:
        """See `Audit.follow`; takes the right `reveal` for each type that there is."""
        self._permit("reveal", self._all)
        return self._plain.follow(wait, type=type, message_id=message_id)

    def search(self, expression: str, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[Found]:
        """See `Audit.search`; takes the right `reveal` for each type that there is."""
        self._permit("reveal", self._all)
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
        self._permit("look", self._all)
        return self._plain.acts(since=since, until=until)

    def state_at(self, when: Moment) -> Metrics:
        """See `Audit.state_at`; takes the right `look` for each type that there is."""
        self._permit("look", self._all)
        return self._plain.state_at(when)

    def verify(self, progress: Callable[[int], None] | None = None, *, head: str | None = None) -> Verification:
        """See `Audit.verify`; takes the right `look`."""
        self._permit("look", lambda: ("",))
        return self._plain.verify(progress, head=head)
