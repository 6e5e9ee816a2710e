"""`assert_published`: which messages a system has published, for tests of handlers. Reads the log; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.events.vocabulary import Published

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.operations.audit import Audit
    from perdure.publishing.drafts import Drafts

__all__ = ["assert_published"]

M = TypeVar("M")
SHOWN_MAX = 20
_MISSING = object()


def assert_published(
    audit: Audit,
    drafts: Drafts,
    kind: type[M] | str,
    match: M | Mapping[str, Any] | Callable[[M], object] | None,
    times: int | None,
) -> list[M]:
    """Return the published messages of a type that match; see `SimulatedSystem.assert_published`.

    Raises:
        AssertionError: there are none, or not as many as wanted.
    """
    __tracebackhide__ = True
    name = drafts.names.of(kind)
    published = [record.event for record in audit.events() if isinstance(record.event, Published)]
    messages: list[M] = [drafts.load(event) for event in published if event.type == name]
    found = [message for message in messages if _matches(message, match)]
    if len(found) == times or (times is None and found):
        return found
    wanted = "at least one" if times is None else str(times)
    which = name if match is None else f"{name} that match {match!r}"
    if messages:
        listed = "\n".join(f"  {message!r}" for message in messages[:SHOWN_MAX])
        more = f"\n  and {len(messages) - SHOWN_MAX} more" if len(messages) > SHOWN_MAX else ""
        there = f"of this type there are:\n{listed}{more}"
    else:
        there = f"of this type there are none, only: {', '.join(sorted({event.type for event in published})) or 'nothing'}"
    raise AssertionError(f"published: {wanted} of {which}; found {len(found)}; {there}")


def _matches(message: Any, match: Any) -> bool:
    if match is None:
        return True
    if isinstance(match, Mapping) and not isinstance(message, type(match)):
        return all(getattr(message, field, _MISSING) == value for field, value in match.items())
    if isinstance(match, type(message)):
        return bool(message == match)
    if callable(match):
        return bool(match(message))
    return bool(message == match)
