"""The numbers of a system at one point of its log, live or folded from history.

How they are asked for is in `admin` and `audit`.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - `public` reads the annotations at run time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.moments import moment
from perdure.events.public_names import public

if TYPE_CHECKING:
    from perdure.events.queue.state import TypeCounts

__all__ = ["HandlerInfo", "Metrics", "Totals", "from_counts", "totals"]


@public
@attrs.frozen(kw_only=True)
class Totals:
    """What became of messages over some time: how many were published, completed and so on; `failed` counts attempts."""

    published: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    lease_expired: int = 0
    superseded: int = 0
    expired: int = 0
    dead_lettered: int = 0
    replayed: int = 0
    purged: int = 0
    cancelled: int = 0


@public
@attrs.frozen(kw_only=True)
class Metrics:
    """Counts at sequence number `seq`. The first five say where messages are now, the others what became of all there ever were."""

    seq: int
    at: dt.datetime
    ready: int = 0
    delayed: int = 0
    held: int = 0
    """Waiting for another message of their key or group to end."""
    in_flight: int = 0
    dead_letters: int = 0
    published: int = 0
    completed: int = 0
    failed: int = 0
    """Failed attempts."""
    retried: int = 0
    lease_expired: int = 0
    superseded: int = 0
    expired: int = 0
    dead_lettered: int = 0
    replayed: int = 0
    purged: int = 0
    cancelled: int = 0
    late_results: int = 0
    payload_bytes: int = 0
    keys_held: int = 0
    """By the windows of completed messages."""
    results_kept: int = 0
    since_start: Totals = attrs.field(factory=Totals, eq=False)
    """The same from `published` to `cancelled`, since this system started: for a progress bar; live only."""
    ids_remembered: int = attrs.field(default=0, eq=False)
    """Ended messages whose ids are known, so that publishing one again adds nothing; live only."""
    ids_remembered_since: dt.datetime | None = attrs.field(default=None, eq=False)
    """Of ids that perdure made later than this none is forgotten; None: not one of them is at all, whatever became of ids that the
    host chose, which tell no time (see `ids_forgotten`). Live only."""
    ids_forgotten: int = attrs.field(default=0, eq=False)
    """Ids of ended messages that are known no more, those that the host chose too: publishing such a one again may add it again.
    Live only."""
    progress: dict[str, tuple[float, str]] = attrs.field(factory=dict, eq=False)
    """Id to (percent, note) of what is running and has told; live only."""
    runtime_counters: dict[str, int] = attrs.field(factory=dict, eq=False)
    """What happened to the actors in this run: deaths, restarts, I/O errors, snapshots; live only."""


@public
@attrs.frozen(kw_only=True)
class HandlerInfo:
    """One handler as it runs now. Times are in seconds, of this run; `processed` and `failed` count this run too."""

    type: str
    workers: int
    active: int
    parallelism: int
    paused: bool
    ready: int
    in_flight: int
    processed: int
    failed: int
    completed: int
    """In all runs, as `retried`; `Metrics.since_start` counts one run."""
    retried: int
    rate_per_s: float
    """Handled a second, over the last half minute or so."""
    run_p50_s: float
    run_p95_s: float
    run_p99_s: float
    wait_p50_s: float
    """From the moment a message could have been handled to the start of its first attempt."""
    wait_p95_s: float
    wait_p99_s: float


_PLACES = ("ready", "delayed", "held", "in_flight")
_FATES = tuple(field.name for field in attrs.fields(Totals))


def totals(by_type: dict[str, TypeCounts], before: dict[str, TypeCounts]) -> Totals:
    """Return what became of messages of all types since they had the counts of `before`."""
    return Totals(**{name: _total(by_type, name) - _total(before, name) for name in _FATES})


def _total(by_type: dict[str, TypeCounts], name: str) -> int:
    return sum(getattr(counts, name) for counts in by_type.values())


def from_counts(
    *,
    seq: int,
    at_us: int,
    by_type: dict[str, TypeCounts],
    dead: int,
    late_results: int,
    payload_bytes: int,
    keys_held: int,
    results_kept: int,
) -> Metrics:
    """Add up the counts of all types."""
    sums: dict[str, Any] = {name: _total(by_type, name) for name in (*_PLACES, *_FATES)}
    return Metrics(
        seq=seq,
        at=moment(at_us),
        dead_letters=dead,
        late_results=late_results,
        payload_bytes=payload_bytes,
        keys_held=keys_held,
        results_kept=results_kept,
        **sums,
    )
