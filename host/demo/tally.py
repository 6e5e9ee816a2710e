"""A count of the results of the demo, from the input file, the output file and the log.

It trusts no counter of the system under test. Not here: printing the result (`runner`).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.demo.orders import lines
from perdure.events import vocabulary as ev
from perdure.operations.audit import Audit

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.operations.reading.record import Record
    from perdure.store import Verification

__all__ = ["Tally", "tally"]


@attrs.define
class Tally:
    """The counts of a finished demo."""

    lines: int = 0
    receipts: int = 0
    lost: int = 0
    doubled: int = 0
    published: int = 0
    completed: int = 0
    retried: int = 0
    starts: int = 0
    restarts: int = 0
    """Restarts of actors."""
    reasons: list[str] = attrs.field(factory=list)
    """The reason of each dead letter, in the order of the log."""
    timeline: list[Record] = attrs.field(factory=list)
    """The timeline of one message that failed; empty if none did."""
    verification: Verification = attrs.field(kw_only=True)

    @property
    def ok(self) -> bool:
        """Whether nothing was lost or doubled, and the log is undamaged."""
        return not self.lost and not self.doubled and self.verification.ok


def tally(folder: Path, source: Path, output: Path) -> Tally:
    """Return the counts of a finished demo.

    Raises:
        StoreCorrupt, StoreUnavailable: the log cannot be read.
    """
    audit = Audit(folder)
    found = Tally(verification=audit.verify())
    ends: Counter[int] = Counter()
    failed: Counter[str] = Counter()
    restarts: set[tuple[int, str, int]] = set()  # a restart may be recorded twice
    for record in audit.events():
        event = record.event
        match event:
            case ev.Published():
                found.published += 1
            case ev.Completed():
                found.completed += 1
            case ev.AttemptFailed() if event.due_us and record.message_id:
                found.retried += 1
                failed[record.message_id] += 1
            case ev.LeaseExpired() | ev.Returned() if record.message_id and record.message_id in failed:
                failed[record.message_id] += 1
            case ev.DeadLettered():
                payload: dict[str, Any] = msgspec.msgpack.decode(event.published.payload)
                ends[payload["line"]] += 1
                found.reasons.append(event.message or event.reason)
            case ev.Started():
                found.starts += 1
            case ev.ActorRestarted():
                restarts.add((found.starts, event.actor, event.deaths))
            case _:
                pass
    found.restarts = len(restarts)
    if output.exists():
        with output.open(encoding="utf-8") as file:
            for text in file:
                ends[json.loads(text)["line"]] += 1
                found.receipts += 1
    wanted = {order.line for order in lines(source)}
    found.lines = len(wanted)
    found.lost = sum(ends[line] == 0 for line in wanted)
    found.doubled = sum(count > 1 for count in ends.values()) + sum(line not in wanted for line in ends)
    if failed:
        found.timeline = audit.timeline(failed.most_common(1)[0][0])
    return found
