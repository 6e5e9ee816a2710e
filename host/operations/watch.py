"""Look after look at a log that may be growing: where messages are, what waits longest, and the rates between two looks.

It only reads, beside a live system or without one, and folds each event once. It is shown by `perdure status`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.actors.journal.log_fold import advance, fold_log
from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreUnavailable
from perdure.events.queue.searching import letter_search
from perdure.operations.reading.stuck_groups import StuckGroup, stuck_groups
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.events.codec.snapshot import States
    from perdure.events.queue.state import QueueState
    from perdure.store import LogReader

__all__ = ["Status", "TypeStatus", "Watch", "summed"]

STUCK_MAX = 10


@attrs.frozen(kw_only=True)
class TypeStatus:
    """One message type. Rates are messages (or attempts) a second since the look before; 0.0 at the first."""

    type: str
    ready: int
    delayed: int
    held: int
    in_flight: int
    dead: int
    published: int
    completed: int
    failed: int
    published_per_s: float
    completed_per_s: float
    failed_per_s: float
    oldest_ready_s: float | None
    """How long ago the id of the first ready message was made; None where none is ready, or the host chose its id."""
    paused: bool
    workers: int | None
    """How many workers its handler should have in each process; None where no handler was ever registered."""


@attrs.frozen(kw_only=True)
class Status:
    """One look."""

    seq: int
    at_us: int
    """When the last event was written."""
    types: tuple[TypeStatus, ...]
    bytes: int
    segments: int
    snapshots: int
    stuck: tuple[StuckGroup, ...] = ()
    """Groups that one message has held up for a while, those with the most that wait first; `STUCK_MAX` of them at most."""

    def total(self, name: str) -> float:
        """Return a count or rate over all types."""
        return float(sum(getattr(row, name) for row in self.types))


def summed(looks: Sequence[Status]) -> Status:
    """Return looks at several logs as one: counts and rates added up, what waits longest of all."""
    by_type: dict[str, list[TypeStatus]] = {}
    for status in looks:
        for row in status.types:
            by_type.setdefault(row.type, []).append(row)
    return Status(
        seq=sum(status.seq for status in looks),
        at_us=max((status.at_us for status in looks), default=0),
        types=tuple(_summed_type(rows) for _, rows in sorted(by_type.items())),
        bytes=sum(status.bytes for status in looks),
        segments=sum(status.segments for status in looks),
        snapshots=sum(status.snapshots for status in looks),
        stuck=tuple(sorted((group for status in looks for group in status.stuck), key=lambda group: -group.waiting)[:STUCK_MAX]),
    )


_ADDED = ("ready", "delayed", "held", "in_flight", "dead", "published", "completed", "failed")
_RATES = ("published_per_s", "completed_per_s", "failed_per_s")


def _summed_type(rows: list[TypeStatus]) -> TypeStatus:
    return TypeStatus(
        type=rows[0].type,
        oldest_ready_s=max((row.oldest_ready_s for row in rows if row.oldest_ready_s is not None), default=None),
        paused=any(row.paused for row in rows),
        workers=max((row.workers for row in rows if row.workers is not None), default=None),
        **{name: sum(getattr(row, name) for row in rows) for name in (*_ADDED, *_RATES)},
    )


class Watch:
    """Looks at one log again and again. For one thread.

    Args:
        reader: the log.
        progress: called with the sequence number that the first look has reached.

    Raises:
        StoreCorrupt, StoreUnavailable: the log cannot be read; `look` too.
    """

    def __init__(self, reader: LogReader, progress: Callable[[int], None] | None = None) -> None:
        self._reader = reader
        self._states: States
        self._states, _ = fold_log(reader, progress=progress)
        self._counted: dict[str, tuple[int, int, int]] = {}
        self._looked_us = 0

    def look(self, now_us: int) -> Status:
        """Read what was written since, and return what is true now."""
        try:
            advance(self._reader, self._states)
        except (
            HistoryDropped,
            StoreCorrupt,
            StoreUnavailable,
        ):  # dropped meanwhile, or damage: raised anew
            self._states, _ = fold_log(self._reader)
        states, queue = self._states, self._states.queue
        passed_s = (now_us - self._looked_us) / 1_000_000 if self._looked_us else 0.0
        dead = letter_search.stats(states.dead_letters).by_type
        rows, counted = [], {}
        for name, counts in queue.by_type.items():
            now = (counts.published, counts.completed, counts.failed)
            before = self._counted.get(name, now if not self._looked_us else (0, 0, 0))
            rates = [(a - b) / passed_s if passed_s > 0 else 0.0 for a, b in zip(now, before, strict=True)]
            counted[name] = now
            handler = states.handlers.handlers.get(name)
            rows.append(
                TypeStatus(
                    type=name,
                    ready=counts.ready,
                    delayed=counts.delayed,
                    held=counts.held,
                    in_flight=counts.in_flight,
                    dead=dead.get(name, 0),
                    published=counts.published,
                    completed=counts.completed,
                    failed=counts.failed,
                    published_per_s=rates[0],
                    completed_per_s=rates[1],
                    failed_per_s=rates[2],
                    oldest_ready_s=_oldest_s(queue, name, now_us),
                    paused=states.handlers.is_paused(name),
                    workers=None if handler is None else handler.parallelism,
                )
            )
        self._counted, self._looked_us = counted, now_us
        size = self._reader.size()
        return Status(
            seq=states.seq,
            at_us=states.at_us,
            types=tuple(sorted(rows, key=lambda row: row.type)),
            bytes=size.bytes,
            segments=size.segments,
            snapshots=size.snapshots,
            stuck=tuple(stuck_groups(queue, now_us)[:STUCK_MAX]),
        )


def _oldest_s(queue: QueueState, type_name: str, now_us: int) -> float | None:
    ready = queue.ready_queues.get(type_name)
    first = ready.first(1) if ready is not None else []
    if not first:
        return None
    number = first[0][0] if isinstance(first[0], range) else first[0].number
    message = queue.look(number)
    at_us = made_us(message.published.id) if message is not None else 0
    return max(0.0, (now_us - at_us) / 1_000_000) if at_us else None
