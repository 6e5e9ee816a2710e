"""The commands that publish, and the drafts of messages that they carry.

What is accepted becomes `Published` events. What a schedule publishes is here too; when it does is in `schedules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.events.vocabulary import Extras

__all__ = [
    "Draft",
    "DraftRun",
    "Publish",
    "TakeIn",
    "Tick",
]


class Draft(NamedTuple):
    """A message before it is accepted: all fields of `Published` but the number, in the same order."""

    id: str
    type: str
    payload: bytes
    key: str | None = None
    dedup: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    headers: dict[str, str] | None = None
    priority: int = 0
    due_us: int = 0
    expires_us: int = 0
    group: str | None = None
    extras: Extras | None = None
    subject: str | None = None


class DraftRun(msgspec.Struct, eq=False):
    """Drafts of one type that have only a payload each, in columns."""

    type: str
    ids: Sequence[str]
    payloads: list[bytes]
    size: int = -1
    """Bytes of all payloads; below 0: not added up yet."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.payloads)

    def payload_bytes(self) -> int:
        """Return the bytes of all payloads, added up once."""
        if self.size < 0:
            self.size = sum(map(len, self.payloads))
        return self.size

    def __iter__(self) -> Iterator[Draft]:
        """Return the drafts one by one."""
        return (Draft(ident, self.type, payload) for ident, payload in zip(self.ids, self.payloads, strict=True))


class Publish(msgspec.Struct):
    """Accept all drafts or none. A draft whose id is known adds nothing."""

    drafts: Sequence[Draft] | DraftRun
    fresh: bool = False
    """All ids were made for this command, which is sent for the first time: none of them can be known."""
    deadline_us: int = 0
    """Until when it waits for room in the backlog; set when the wait begins, and not read by the rules."""


class TakeIn(msgspec.Struct):
    """Accept all drafts of what was spooled as one publish, or make all of them dead letters, with the reason.

    A draft whose id is known adds nothing.
    """

    drafts: Sequence[Draft] | DraftRun


@attrs.define
class Tick:
    """Publish `draft` for a tick of a schedule (None: pass the tick over), once for each `due_us`."""

    schedule: str
    due_us: int
    draft: Draft | None
    after_us: int = 0
    """The due time of the tick before; 0: the schedule begins with this one."""
    anew: bool = False
    """The clock was put back by hours since then, and the schedule goes on from the new time."""
