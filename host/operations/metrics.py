"""Counts of a system at one sequence number, live or folded from history.

Not here: the calls that return them, which are in `admin` and `audit`.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - `public` reads the annotations at run time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.moments import moment
from perdure.events.public_names import public
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    from perdure.actors.queue.queue_report import QueueReport
    from perdure.events.queue.state import TypeCounts

__all__ = ["DeputyInfo", "HandlerInfo", "Metrics", "ProcessInfo", "Totals", "from_counts", "oldest_s", "totals"]


@public
@attrs.frozen(kw_only=True)
class Totals:
    """How many messages were published, completed and so on over some time; `failed` counts attempts."""

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
class DeputyInfo:
    """A process that shares the folder with `deputy=True`: it keeps a fold of the log, so that it can take over at once."""

    name: str
    """What the process calls itself."""
    pid: int
    seq: int
    """Up to which event it had folded the log when the owner heard of it last, a fifth of a second ago at most."""


@public
@attrs.frozen(kw_only=True)
class Metrics(Totals):
    """Counts at sequence number `seq`.

    `ready` to `dead_letters` count the messages that are there now. The totals (`published` to `cancelled`) and `late_results`
    count all that ever happened.
    """

    seq: int
    at: dt.datetime
    ready: int = 0
    delayed: int = 0
    held: int = 0
    """Messages that wait until another message of their key or group has ended."""
    in_flight: int = 0
    dead_letters: int = 0
    late_results: int = 0
    payload_bytes: int = 0
    keys_held: int = 0
    """Keys that are held by the window of a completed message."""
    results_kept: int = 0
    since_start: Totals = attrs.field(factory=Totals, eq=False)
    """The same totals since this system started, for a progress bar; only from a live system."""
    ids_remembered: int = attrs.field(default=0, eq=False)
    """Ids of ended messages that are remembered: publishing one again adds nothing. Only from a live system."""
    ids_remembered_since: dt.datetime | None = attrs.field(default=None, eq=False)
    """No id that perdure made after this moment is forgotten; None: no id that perdure made is forgotten. Ids chosen by the host
    carry no time, so it says nothing of them (see `ids_forgotten`). Only from a live system."""
    ids_forgotten: int = attrs.field(default=0, eq=False)
    """Ids of ended messages that are forgotten, including ids chosen by the host: publishing one again may add it again. Only from
    a live system."""
    progress: dict[str, tuple[float, str]] = attrs.field(factory=dict, eq=False)
    """(percent, note) by message id, for running messages with a heartbeat; only from a live system."""
    runtime_counters: dict[str, int] = attrs.field(factory=dict, eq=False)
    """Counts of this run by name: actor deaths and restarts, I/O errors, snapshots; only from a live system."""
    spilled_bytes: int = attrs.field(default=0, eq=False)
    """Bytes of waiting payloads that are on disk instead of in memory; only from a live system."""
    oldest_ready_s: dict[str, float] = attrs.field(factory=dict, eq=False)
    """By type: how long the oldest ready message has been so, in seconds; of types whose oldest has an id that perdure made, or a
    due time. Only from a live system."""
    deputies: tuple[DeputyInfo, ...] = attrs.field(default=(), eq=False)
    """The deputies of a shared folder. What one would have to fold in order to take over are the events up to `seq` that it has not
    folded. Only from a live system."""


@public
@attrs.frozen(kw_only=True)
class ProcessInfo:
    """What one process does for a handler, where several share the folder. Counts begin when it joined the owner."""

    name: str
    """What the process calls itself; empty for the owner."""
    pid: int
    workers: int
    active: int
    processed: int
    failed: int


@public
@attrs.frozen(kw_only=True)
class HandlerInfo:
    """One handler as it runs now, in all processes together.

    Times are in seconds, of the calls in all processes; they, `processed` and `failed` cover this run only.
    """

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
    """Counts all runs, as `retried` does; `Metrics.since_start` counts one run."""
    retried: int
    rate_per_s: float
    """Messages handled per second, over about the last half minute."""
    run_p50_s: float
    run_p95_s: float
    run_p99_s: float
    wait_p50_s: float
    """Time from the moment a message could be handled to the start of its first attempt."""
    wait_p95_s: float
    wait_p99_s: float
    processes: tuple[ProcessInfo, ...] = ()
    """A line for each process that has the handler."""


def oldest_s(report: QueueReport, type_name: str) -> float | None:
    """Return since how many seconds the oldest ready message of a type could be handled; None where that is not known."""
    ident, due_us = report.first_ready.get(type_name, ("", 0))
    since_us = max(made_us(ident), due_us) if ident else 0
    return max(0.0, (report.at_us - since_us) / 1_000_000) if since_us else None


_PLACES = ("ready", "delayed", "held", "in_flight")
_FATES = tuple(field.name for field in attrs.fields(Totals))


def totals(by_type: dict[str, TypeCounts], before: dict[str, TypeCounts]) -> Totals:
    """Return the totals over all types since the counts of `before`."""
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
    """Return metrics with the counts of all types added up."""
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
