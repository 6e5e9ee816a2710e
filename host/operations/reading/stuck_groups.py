"""Groups that one message holds up: what `perdure status` and the console show first. Pure.

Not here: the order within a group (`perdure.events.queue`).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import attrs

from perdure.events.structures.message import Status
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.queue.state import QueueState
    from perdure.events.structures.group import Group

__all__ = ["StuckGroup", "members_behind", "stuck_groups"]

GROUPS_LOOKED = 5_000
MEMBERS_LOOKED = 1_000
"""Of a group some of whose messages may not be looked at."""
STUCK_S = 30.0


@attrs.frozen
class StuckGroup:
    """A group whose first message holds up the others."""

    name: str
    waiting: int
    head: str
    head_type: str
    head_status: str
    since_us: int
    failures: int

    def told(self, now_us: int) -> str:
        """Return it in words, as of a moment (microseconds since the epoch)."""
        since = f" for {(now_us - self.since_us) / 1e6:,.0f} s" if self.since_us else ""
        failed = f", {self.failures} attempt(s) failed" if self.failures else ""
        return f"Group {self.name!r}: {self.waiting:,} wait{since} behind one message ({self.head_status}{failed})"


def stuck_groups(queue: QueueState, now_us: int, looks: Callable[[str], bool] | None = None) -> list[StuckGroup]:
    """Return groups whose first message has held up others for a while, those with the most that wait first.

    Args:
        queue: the state.
        now_us: when, in microseconds since the epoch.
        looks: returns whether a type may be looked at, where some may not: messages of other types are neither counted nor named.
    """
    found = []
    for name, group in islice(queue.groups.items(), GROUPS_LOOKED):
        if len(group) <= 1:  # one holds up another
            continue
        head = queue.look(group.head)
        if head is None or head.status is Status.READY:
            continue
        waiting = members_behind(queue, group, looks)
        if not waiting or (looks is not None and not looks(head.published.type)):
            continue
        failures = head.failures or []
        since = failures[0].at_us if failures else made_us(head.published.id)
        if failures or (since and (now_us - since) / 1e6 > STUCK_S):
            status = {Status.LEASED: "being handled", Status.DELAYED: "waits for its next attempt"}.get(head.status, "held")
            own = head.published
            found.append(StuckGroup(name, waiting, own.id, own.type, status, since, len(failures)))
    return sorted(found, key=lambda group: -group.waiting)


def members_behind(queue: QueueState, group: Group, looks: Callable[[str], bool] | None) -> int:
    """Return how many messages wait behind the first of a group; where not all may be looked at, of at most a thousand."""
    if looks is None:
        return len(group) - 1
    return sum(looks(_type_of(queue, number)) for number in islice(group, 1, MEMBERS_LOOKED))


def _type_of(queue: QueueState, number: int) -> str:
    message = queue.look(number)
    return "" if message is None else message.published.type
