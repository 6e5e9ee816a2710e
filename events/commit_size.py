"""How much room events take on record, and how much one commit may take; measured before anything is folded or written.

Events that are decided together are written together or refused. A long pass is cut into commits in `actors/queue`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from perdure.events import vocabulary as ev
from perdure.events.errors import PayloadTooLarge
from perdure.events.runs import CompletedRun, LeasedRun, PublishedRun
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.events.commands import Draft

__all__ = ["COMMIT_BYTES_MAX", "COMMIT_EVENTS_MAX", "Size", "check_commit", "draft_bytes", "measure"]

COMMIT_EVENTS_MAX = 900_000
"""Events of one commit; a store takes a million in a frame."""
COMMIT_BYTES_MAX = 60 << 20
"""Bytes of one commit, before compression; a store takes 64 MiB in a frame."""

EVENT_BYTES = 24
"""Bytes of an event beside its fields: its tag, version and count, and the heads of its columns."""
NUMBER_BYTES = 9
LENGTH_BYTES = 5


class Size(NamedTuple):
    """The number of events, and an upper bound of their bytes on record."""

    events: int
    bytes: int


NOTHING = Size(0, 0)
_make = tuple.__new__
"""Makes a named tuple in a third of the time."""


def measure(events: Sequence[ev.Event]) -> Size:
    """Return the size of events, with every field of each."""
    if not events:
        return NOTHING
    n = size = 0
    for event in events:
        sizes = _MEASURES[event.__class__](event)
        n += sizes[0]
        size += sizes[1]
    return _make(Size, (n, size))


def check_commit(size: Size, what: str) -> None:
    """Raise PayloadTooLarge where a commit of this size is more than any store takes; `what` names the command."""
    if size.events > COMMIT_EVENTS_MAX or size.bytes > COMMIT_BYTES_MAX:
        msg = (
            f"{what}: {size.events:,} events of {size.bytes:,} bytes, with all texts, keys and headers, are more than one commit "
            f"takes ({COMMIT_EVENTS_MAX:,} events, {COMMIT_BYTES_MAX:,} bytes). Nothing of it was done; do it in several parts."
        )
        raise PayloadTooLarge(msg)


def draft_bytes(draft: Draft) -> int:
    """Return an upper bound of the bytes that a draft takes on record."""
    return EVENT_BYTES + NUMBER_BYTES + 2 * len(draft) + 1 + sum([_value(value) for value in draft if value is not None])


# --- values --------------------------------------------------------------------------------------------------------------


def _text(value: str) -> int:
    # A lone surrogate has no UTF-8 and is refused elsewhere; here it only must not raise.
    return LENGTH_BYTES + (len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass")))


def _value(value: Any) -> int:
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is bytes:
        return LENGTH_BYTES + len(value)
    if kind is int or kind is float:
        return NUMBER_BYTES
    if value is None or kind is bool:
        return 1
    if isinstance(value, dict):
        return LENGTH_BYTES + sum(map(_value, value)) + sum(map(_value, value.values()))
    if isinstance(value, ev.Event):
        return measure([value]).bytes
    if isinstance(value, (list, tuple)):
        return LENGTH_BYTES + sum(map(_value, value))
    return _text(str(value))  # a value of a host's own option; where it cannot be written, the journal refuses it


# --- events --------------------------------------------------------------------------------------------------------------

_FIXED = {"int": NUMBER_BYTES, "float": NUMBER_BYTES, "float | None": NUMBER_BYTES, "bool": 1}
"""By annotation: the bytes of a field, whatever its value."""


def _measure_of(cls: type[ev.Event]) -> Callable[[Any], tuple[int, int]]:
    fields = ev.fields_of(cls)
    fixed = EVENT_BYTES + len(fields) + sum(_FIXED.get(str(field.type), 1) for field in fields)
    names = [field.name for field in fields if str(field.type) not in _FIXED]
    if not names:
        always = (1, fixed)
        return lambda _event: always
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda event: (1, fixed + _value(get(event)))
    return lambda event: (1, fixed + sum([_value(value) for value in get(event) if value is not None]))


_PUBLISHED = _measure_of(ev.Published)
_PUBLISHED_BYTES = _PUBLISHED(ev.Published(0, "", "", b""))[1] - 3 * LENGTH_BYTES
"""The bytes of all its fields that are not text."""
_TYPES = {field.name: str(field.type) for field in ev.fields_of(ev.Published)}
_texts_of = attrgetter(*(name for name, kind in _TYPES.items() if kind in {"str", "str | None"}))
_rest_of = attrgetter(*(name for name, kind in _TYPES.items() if kind not in {"str", "str | None", "bytes", *_FIXED}))
_NO_REST = _rest_of(ev.Published(0, "", "", b""))
"""What a message has beside numbers, texts and its payload; few have any of it."""


def _published(event: ev.Published) -> tuple[int, int]:
    if _rest_of(event) != _NO_REST:
        return _PUBLISHED(event)
    texts = [text for text in _texts_of(event) if text is not None]  # joined, which is faster than a look at each
    return 1, _PUBLISHED_BYTES + LENGTH_BYTES * len(texts) + len(event.payload) + _text("".join(texts))


def _published_run(run: PublishedRun) -> tuple[int, int]:
    n, size = len(run.payloads), run.size if run.size >= 0 else run.payload_bytes()
    # Of an `IdRun` only the first id is written; other ids are joined, which is faster than measuring each.
    ids = run.ids[0] if type(run.ids) is IdRun else "".join(run.ids)
    if n == 1:  # as below, faster for one message
        return 1, EVENT_BYTES + 5 * NUMBER_BYTES + 4 * LENGTH_BYTES + size + 4 * (len(run.type) + len(ids))
    return n, EVENT_BYTES + 5 * NUMBER_BYTES + 2 * LENGTH_BYTES * n + size + _text(run.type) + _text(ids)


def _leased_run(run: LeasedRun) -> tuple[int, int]:
    return len(run.numbers), EVENT_BYTES + 7 * NUMBER_BYTES


def _completed_run(run: CompletedRun) -> tuple[int, int]:
    n = len(run.numbers)
    return n, EVENT_BYTES + NUMBER_BYTES * (n + 2)


_MEASURES: dict[type[ev.Event], Callable[[Any], tuple[int, int]]] = {
    **{cls: _measure_of(cls) for cls in ev.VOCABULARY.values()},
    ev.Published: _published,
    PublishedRun: _published_run,
    LeasedRun: _leased_run,
    CompletedRun: _completed_run,
}
