"""Events of plain messages in columns: one object for a whole run of `Published`, `Leased` or `Completed`.

On record, a run is the same as its events one by one (`expand`); it takes less time to decide, fold, write and read. The base class
`Run` distinguishes runs from single events. Their bytes are in `codec/wire`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["CompletedRun", "LeasedRun", "PublishedRun", "Run", "count", "expand", "first_events", "is_plain", "is_plain_lease"]


class Run(ev.Event):
    """Several events of one class, which `EVENT` names."""

    __slots__ = ()
    EVENT: ClassVar[type[ev.Event]]
    DECIDER = "queue"

    def __len__(self) -> int:
        """Return the number of events."""
        raise NotImplementedError

    def events(self) -> Iterator[ev.Event]:
        """Return the events one by one."""
        raise NotImplementedError


@attrs.define(slots=True)
class PublishedRun(Run):
    """Plain messages were accepted; their numbers count up from `number`."""

    EVENT = ev.Published
    number: int
    type: str
    ids: Sequence[str]
    payloads: list[bytes]
    size: int = attrs.field(default=-1, eq=False)
    """Bytes of all payloads; below 0: not added up yet. It is no part of the event."""

    def payload_bytes(self) -> int:
        """Return the bytes of all payloads, added up once."""
        if self.size < 0:
            self.size = sum(map(len, self.payloads))
        return self.size

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.payloads)

    def events(self) -> Iterator[ev.Published]:
        """Return the events one by one."""
        for i, (ident, payload) in enumerate(zip(self.ids, self.payloads, strict=True), self.number):
            yield ev.Published(i, ident, self.type, payload)


@attrs.define(slots=True)
class LeasedRun(Run):
    """Plain messages were leased to the workers of their handler, each for its first attempt."""

    EVENT = ev.Leased
    numbers: range
    until_us: int = 0
    retries: int = 0
    prefetched: bool = False

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.numbers)

    def events(self) -> Iterator[ev.Leased]:
        """Return the events one by one."""
        for number in self.numbers:
            yield ev.Leased(number, 1, self.until_us, self.retries, "", self.prefetched)


@attrs.define(slots=True)
class CompletedRun(Run):
    """Plain messages were completed at their first attempt."""

    EVENT = ev.Completed
    numbers: Sequence[int]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.numbers)

    def events(self) -> Iterator[ev.Completed]:
        """Return the events one by one."""
        for number in self.numbers:
            yield ev.Completed(number, 1)


def _beyond(cls: type[ev.Event], *own: str) -> tuple[Callable[[Any], Any], Any]:
    """Return a getter of the fields of a class that a run has no column for, and the value of these fields in a run."""
    get = attrgetter(*(field.name for field in ev.fields_of(cls) if field.name not in own))
    return get, get(cls(*(field.default for field in ev.fields_of(cls))))


_beyond_payload, _NO_MORE = _beyond(ev.Published, "number", "id", "type", "payload")
_beyond_lease, _NO_MORE_OF_LEASE = _beyond(ev.Leased, "number", "until_us", "retries", "prefetched", "attempt")


def is_plain(event: ev.Published) -> bool:
    """Return whether a message has only a payload."""
    return event.key is None and bool(_beyond_payload(event) == _NO_MORE)


def is_plain_lease(event: ev.Leased) -> bool:
    """Return whether a lease is one of a plain message: of the first attempt, by a worker of the handler."""
    return event.attempt == 1 and bool(_beyond_lease(event) == _NO_MORE_OF_LEASE)


def count(events: Iterable[ev.Event]) -> int:
    """Return the number of events, with each event of a run."""
    n = 0
    for event in events:
        n += len(event) if isinstance(event, Run) else 1
    return n


def expand(events: Iterable[ev.Event]) -> list[ev.Event]:
    """Return the events one by one: those of a run in its place."""
    found: list[ev.Event] = []
    for event in events:
        if isinstance(event, Run):
            found += event.events()
        else:
            found.append(event)
    return found


def first_events(events: Sequence[ev.Event], n: int) -> list[ev.Event]:
    """Return the first `n` events; runs that lie within them stay whole."""
    kept: list[ev.Event] = []
    for event in events:
        if n <= 0:
            break
        size = len(event) if isinstance(event, Run) else 1
        kept += [event] if size <= n else expand([event])[:n]
        n -= size
    return kept
