"""Facts of plain messages in columns: one object for a whole run of `Published`, `Leased` or `Completed`.

On record, a run is what its facts are one by one (`expand`); it only costs less to decide, fold, write and read. Runs are told
from single facts by `Run`; how they become bytes is in `wire`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["CompletedRun", "LeasedRun", "PublishedRun", "Run", "count", "expand", "first_facts", "is_plain"]


class Run(ev.Event):
    """Several facts of one class."""

    __slots__ = ()
    FACT: ClassVar[type[ev.Event]]
    DECIDER = "queue"

    def __len__(self) -> int:
        """Count its facts."""
        raise NotImplementedError

    def facts(self) -> Iterator[ev.Event]:
        """Give its facts one by one."""
        raise NotImplementedError


@attrs.define(slots=True)
class PublishedRun(Run):
    """Messages with nothing but a payload were accepted; their numbers count up from `number`."""

    FACT = ev.Published
    number: int
    type: str
    ids: Sequence[str]
    payloads: list[bytes]

    def __len__(self) -> int:
        """Count its facts."""
        return len(self.payloads)

    def facts(self) -> Iterator[ev.Published]:
        """Give its facts one by one."""
        for i, (ident, payload) in enumerate(zip(self.ids, self.payloads, strict=True), self.number):
            yield ev.Published(i, ident, self.type, payload)


@attrs.define(slots=True)
class LeasedRun(Run):
    """Messages were handed to the workers of their handler, each for its first attempt."""

    FACT = ev.Leased
    numbers: range
    until_us: int = 0
    retries: int = 0
    ahead: bool = False

    def __len__(self) -> int:
        """Count its facts."""
        return len(self.numbers)

    def facts(self) -> Iterator[ev.Leased]:
        """Give its facts one by one."""
        for number in self.numbers:
            yield ev.Leased(number, 1, self.until_us, self.retries, "", self.ahead)


@attrs.define(slots=True)
class CompletedRun(Run):
    """Messages were completed at their first attempt."""

    FACT = ev.Completed
    numbers: Sequence[int]

    def __len__(self) -> int:
        """Count its facts."""
        return len(self.numbers)

    def facts(self) -> Iterator[ev.Completed]:
        """Give its facts one by one."""
        for number in self.numbers:
            yield ev.Completed(number, 1)


def is_plain(event: ev.Published) -> bool:
    """Tell whether a message has nothing but a payload."""
    return (
        event.key is None
        and event.group is None
        and event.terms is None
        and not event.due_us
        and not event.expires_us
        and not event.priority
        and event.correlation_id is None
        and event.causation_id is None
        and event.headers is None
        and event.dedup is None
    )


def count(events: Iterable[ev.Event]) -> int:
    """Count facts, each of a run for itself."""
    return sum(len(event) if isinstance(event, Run) else 1 for event in events)


def expand(events: Iterable[ev.Event]) -> list[ev.Event]:
    """Give facts one by one."""
    facts: list[ev.Event] = []
    for event in events:
        if isinstance(event, Run):
            facts += event.facts()
        else:
            facts.append(event)
    return facts


def first_facts(events: Sequence[ev.Event], n: int) -> list[ev.Event]:
    """Give the first `n` facts, leaving runs that are within them whole."""
    kept: list[ev.Event] = []
    for event in events:
        if n <= 0:
            break
        size = len(event) if isinstance(event, Run) else 1
        kept += [event] if size <= n else expand([event])[:n]
        n -= size
    return kept
