"""Operators' questions to a whole cluster: each partition is asked, and the answers are added up.

`perdure.operations` has the answers of one partition; `acts/at_once` asks several at the same time. An act on many partitions is
one act in each: if one cannot be reached, the others have it all the same, and calling again does no harm.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.clock import SystemClock
from perdure.arguments.choices import check_whole
from perdure.cluster.acts.bulk import ActsEverywhere, CancelsEverywhere
from perdure.cluster.routing import of_text
from perdure.events.errors import UnknownMessage
from perdure.events.keyword_options import shows
from perdure.events.seconds import shown
from perdure.handling.options.handler_options import ChangeableKeywords, check_changes
from perdure.operations.dead_letter import DeadLetterStats
from perdure.operations.metrics import HandlerInfo, Metrics, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.operations.dead_letter import DeadLetter
    from perdure.operations.dead_letters import DeadLetters

__all__ = ["ClusterAdmin", "ClusterDeadLetters", "summed_metrics"]


class ClusterAdmin(CancelsEverywhere):
    """Reads metrics and changes handlers, in all partitions; as `Admin` for one."""

    def metrics(self) -> Metrics:
        """Return the counts of all partitions, added up; they are not of one moment. `seq` is the number of events in all logs."""
        each: list[Metrics] = self._each(lambda partition: partition.admin.metrics())
        return summed_metrics(each)

    def handlers(self) -> dict[str, HandlerInfo]:
        """Return each handler over all partitions: counts added up, times of the slowest partition."""
        found: dict[str, list[HandlerInfo]] = {}
        for handlers in self._each(lambda partition: partition.admin.handlers()):
            for name, info in handlers.items():
                found.setdefault(name, []).append(info)
        return {name: _summed_handler(infos) for name, infos in found.items()}

    def scale(self, type: str | type, n: int) -> None:
        """Set how many messages of a type each process handles at once; as `Admin.scale`."""
        self._each(lambda partition: partition.admin.scale(type, n), is_act=True)

    @shows(ChangeableKeywords, defaults={})
    def configure(self, type: str | type, **options: Any) -> None:
        """Change options of a handler in all partitions; as `Admin.configure`. A rate holds for the whole queue, and is divided.

        Raises:
            InvalidMessage: an option is out of its range, or cannot be changed.
        """
        rate = check_changes({"rate": options["rate"]})["rate_per_s"] if options.get("rate") is not None else None
        if rate:
            options = {**options, "rate": rate / self._cluster.count}
        self._each(lambda partition: partition.admin.configure(type, **options), is_act=True)

    def run_now(self, id: str | None = None, *, schedule: str | None = None) -> str:
        """Make a delayed message, or a tick of a schedule, due now, in the partition that has it; as `Admin.run_now`.

        Raises:
            UnknownMessage, InvalidMessage: as `Admin.run_now`.
        """
        number = of_text(schedule, self._cluster.count) if schedule is not None else self._cluster.home_of(id) if id else 0
        ident: str = self._cluster.through(number, lambda partition: partition.admin.run_now(id, schedule=schedule))
        return ident

    def pause(self, type: str | type | None = None) -> None:
        """Start no more deliveries of a type, or of all types, in all partitions; as `Admin.pause`."""
        self._each(lambda partition: partition.admin.pause(type), is_act=True)

    def resume(self, type: str | type | None = None) -> None:
        """Continue deliveries in all partitions; as `Admin.resume`."""
        self._each(lambda partition: partition.admin.resume(type), is_act=True)

    def snapshot(self) -> dict[int, int]:
        """Take a snapshot of each partition now; return the sequence number of the last event in it, by partition."""
        return dict(enumerate(self._each(lambda partition: partition.admin.snapshot())))

    @contextmanager
    def hold_history(self) -> Iterator[None]:
        """Keep the history of all partitions while the block runs; only where all of them run in this process.

        Raises:
            PerdureError: another process owns one of them.
        """
        with ExitStack() as stack:
            for held in self._each(lambda partition: partition.admin.hold_history()):
                stack.enter_context(held)
            yield


class ClusterDeadLetters(ActsEverywhere):
    """Lists, replays and purges the dead letters of all partitions; as `DeadLetters` for one."""

    def list(
        self,
        *,
        type: str | type | None = None,
        reason: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        where: str | None = None,
    ) -> list[DeadLetter[Any]]:
        """Return dead letters, newest first; as `DeadLetters.list`. With `before`, only letters older than that one.

        Raises:
            As `DeadLetters.list`.
        """
        if limit is not None:
            check_whole("limit", limit, 0)
        older = None if before is None else self.get(before)
        found: list[DeadLetter[Any]] = []
        chosen: dict[str, Any] = {"type": type, "reason": reason, "limit": None if older else limit, "where": where}
        for letters in self._each(lambda partition: partition.dead_letters.list(**chosen)):
            found += letters
        found.sort(key=_age, reverse=True)
        if older is not None:
            found = [letter for letter in found if _age(letter) < _age(older)]
        return found if limit is None else found[:limit]

    def get(self, id: str) -> DeadLetter[Any]:
        """Return one dead letter; as `DeadLetters.get`."""
        letter: DeadLetter[Any] = self._of(id, lambda letters: letters.get(id))
        return letter

    def replay(self, id: str, reset_retries: bool = True, *, message: Any = None) -> None:  # noqa: FBT001, FBT002 - as `DeadLetters`
        """Return one dead letter to its partition's queue; as `DeadLetters.replay`."""
        self._of(id, lambda letters: letters.replay(id, reset_retries, message=message))

    def _of(self, ident: str, call: Callable[[DeadLetters], Any]) -> Any:
        home = self._cluster.home_of(ident)
        for number in (home, *(number for number in range(self._cluster.count) if number != home)):
            try:
                return self._cluster.through(number, lambda partition: call(partition.dead_letters))
            except UnknownMessage:
                continue
        raise UnknownMessage(f"message {shown(ident)} is not a dead letter; `dead_letters.list()` shows those that are.")

    def replay_all(
        self,
        *,
        type: str | type | None = None,
        reason: str | None = None,
        reset_retries: bool = True,
        dry_run: bool = False,
    ) -> int:
        """Return all matching dead letters to their queues and return how many; as `DeadLetters.replay_all` in each partition."""
        chosen: dict[str, Any] = {"type": type, "reason": reason, "reset_retries": reset_retries, "dry_run": dry_run}
        return sum(self._each(lambda partition: partition.dead_letters.replay_all(**chosen), is_act=not dry_run))

    def purge(
        self,
        older_than: dt.timedelta | dt.datetime | float | None = None,
        *,
        type: str | type | None = None,
        reason: str | None = None,
    ) -> int:
        """Remove the matching dead letters for good and return how many; as `DeadLetters.purge` in each partition."""
        return sum(self._each(lambda partition: partition.dead_letters.purge(older_than, type=type, reason=reason), is_act=True))

    def stats(self) -> DeadLetterStats:
        """Return the dead letters' counts over all partitions, and the times of the oldest and the newest."""
        each: list[DeadLetterStats] = self._each(lambda partition: partition.dead_letters.stats())
        by_type, by_reason = Counter[str](), Counter[str]()
        for stats in each:
            by_type.update(stats.by_type)
            by_reason.update(stats.by_reason)
        oldest = min((stats.oldest for stats in each if stats.oldest is not None), default=None)
        newest = max((stats.newest for stats in each if stats.newest is not None), default=None)
        return DeadLetterStats(sum(stats.total for stats in each), dict(by_type), dict(by_reason), oldest, newest)


_SUMS = (
    *(field.name for field in attrs.fields(Totals)),
    *("seq", "ready", "delayed", "held", "in_flight", "dead_letters", "late_results", "payload_bytes", "keys_held"),
    *("results_kept", "ids_remembered", "ids_forgotten", "spilled_bytes"),
)


def summed_metrics(each: list[Metrics]) -> Metrics:
    """Return the counts of partitions, added up; ages are those of the slowest."""
    sums = {name: sum(getattr(one, name) for one in each) for name in _SUMS}
    since_start = Totals(
        **{field.name: sum(getattr(one.since_start, field.name) for one in each) for field in attrs.fields(Totals)}
    )
    counters = Counter[str]()
    progress: dict[str, tuple[float, str]] = {}
    oldest: dict[str, float] = {}
    for one in each:
        oldest |= {name: max(age_s, oldest.get(name, 0.0)) for name, age_s in one.oldest_ready_s.items()}
        counters.update(one.runtime_counters)
        progress |= one.progress
    remembered = [one.ids_remembered_since for one in each if one.ids_remembered_since is not None]
    at = max((one.at for one in each), default=dt.datetime.fromtimestamp(SystemClock().wall_us() / 1e6, dt.UTC))
    return Metrics(
        **sums,
        at=at,
        since_start=since_start,
        ids_remembered_since=max(remembered, default=None),
        progress=progress,
        runtime_counters=dict(counters),
        oldest_ready_s=oldest,
    )


_ADDED = ("workers", "active", "ready", "in_flight", "processed", "failed", "completed", "retried", "rate_per_s")
_LARGEST = ("parallelism", "run_p50_s", "run_p95_s", "run_p99_s", "wait_p50_s", "wait_p95_s", "wait_p99_s")


def _summed_handler(infos: list[HandlerInfo]) -> HandlerInfo:
    return HandlerInfo(
        type=infos[0].type,
        paused=any(info.paused for info in infos),
        processes=tuple(process for info in infos for process in info.processes),
        **{name: sum(getattr(info, name) for info in infos) for name in _ADDED},
        **{name: max(getattr(info, name) for info in infos) for name in _LARGEST},
    )


def _age(letter: DeadLetter[Any]) -> tuple[dt.datetime, str]:
    return letter.failed_at, letter.id
