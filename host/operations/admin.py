"""The operator's levers: numbers, workers, pauses, snapshots.

Each lever is a command to the actor that decides it; nothing is decided here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.messages import Report, TakeSnapshot
from perdure.arguments.choices import check_whole
from perdure.arguments.moments import moment
from perdure.events.handlers import registry as rules
from perdure.events.keyword_options import shows
from perdure.events.queue.state import TypeCounts
from perdure.handling.handler_options import ChangeableKeywords, check_changes
from perdure.operations.metrics import HandlerInfo, Metrics, from_counts, totals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    import pykka

    from perdure.actors.queue.queue_report import QueueReport
    from perdure.actors.workers.pool import RunTimes
    from perdure.operations.running_system import RunningSystem

__all__ = ["Actors", "Admin"]

SNAPSHOT_TIMEOUT_S = 600.0


class Admin:
    """All methods may be called in any thread; those that change something return once it is on disk.

    Raises:
        NotRunning, StoreUnavailable: as `System.publish`, all of them.
    """

    def __init__(self, system: RunningSystem) -> None:
        self._system = system

    def metrics(self) -> Metrics:
        """Give the counts as they are on record now."""
        report: QueueReport = self._system.ask("queue", Report())
        counts = from_counts(
            seq=report.seq,
            at_us=report.at_us,
            by_type=report.by_type,
            dead=report.dead,
            late_results=report.late_results,
            payload_bytes=report.payload_bytes,
            keys_held=report.keys_held,
            results_kept=report.results_kept,
        )
        progress = {ident: (percent, note) for ident, (_, percent, note) in report.progress.items()}
        runtime = self._system.runtime
        since_start = totals(report.by_type, runtime.figures.ended_before)
        since_ms = report.ids_forgotten_ms
        return attrs.evolve(
            counts,
            since_start=since_start,
            ids_remembered=report.ids_remembered,
            ids_forgotten=report.ids_forgotten,
            ids_remembered_since=moment(since_ms * 1000) if since_ms else None,
            progress=progress,
            runtime_counters=dict(runtime.health.counters),
        )

    def handlers(self) -> dict[str, HandlerInfo]:
        """Give each handler's workers, counts and latencies, by type name."""
        report: QueueReport = self._system.ask("queue", Report())
        wanted: dict[str, tuple[int, bool]] = self._system.ask("dispatcher", Report())
        found = {}
        for name, pool in self._system.runtime.pools.by_type.items():
            counts = report.by_type.get(name) or TypeCounts()
            parallelism, paused = wanted.get(name, (pool.target, False))
            found[name] = HandlerInfo(
                type=name,
                workers=len(pool.workers) - len(pool.retiring),
                active=len(pool.running()),
                parallelism=parallelism,
                paused=paused,
                ready=counts.ready,
                in_flight=counts.in_flight,
                processed=pool.processed,
                failed=pool.failed,
                completed=counts.completed,
                retried=counts.retried,
                rate_per_s=pool.rate.per_s(self._system.runtime.executor.monotonic_s()),
                **_percentiles("run", pool.runs),
                **_percentiles("wait", pool.waits),
            )
        return found

    def scale(self, type: str | type, n: int) -> None:  # noqa: A002 - the front door's name
        """Give a handler `n` workers; running work is not cut off. Outlives restarts.

        Raises:
            UnknownMessageType: there is no handler for that type.
            ValueError: no whole number from 0 to 10,000.
        """
        self._system.ask("dispatcher", rules.Scale(self._name(type), check_whole("parallelism", n, 0, rules.WORKERS_MAX)))

    @shows(ChangeableKeywords, defaults={})
    def configure(self, type: str | type, **options: Unpack[ChangeableKeywords]) -> None:  # noqa: A002 - the front door's name
        """Change `timeout`, `lease`, `renew`, `retries` or `rate` of a handler, as in `System.handler`, from its next delivery on.

        On record, and outlives restarts, until the code registers the handler with other options than before.

        Raises:
            UnknownMessageType: there is no handler for that type.
            InvalidMessage: an option is out of its range, or cannot be changed.
        """
        self._system.ask("dispatcher", rules.Configure(self._name(type), check_changes(options)))

    def pause(self, type: str | type | None = None) -> None:  # noqa: A002 - the front door's name
        """Start no more deliveries of a type, or of all; what runs goes on, publishing too. Outlives restarts.

        A type needs no handler yet: it is a class, or a name.

        Raises:
            UnknownMessageType: the class has no name.
        """
        self._system.ask("dispatcher", rules.Pause("" if type is None else self._name(type)))

    def resume(self, type: str | type | None = None) -> None:  # noqa: A002 - the front door's name
        """Let deliveries of a type, or of all, go on; of all ends the pauses of single types too.

        Raises:
            UnknownMessageType: the class has no name.
        """
        self._system.ask("dispatcher", rules.Resume("" if type is None else self._name(type)))

    def snapshot(self) -> int:
        """Take a snapshot now; gives the sequence number that it holds everything up to.

        Raises:
            StoreUnavailable: it could not be written; nothing else is affected.
        """
        seq: int = self._system.ask("snapshotter", TakeSnapshot(), timeout_s=SNAPSHOT_TIMEOUT_S)
        return seq

    @contextmanager
    def hold_history(self) -> Iterator[None]:
        """Keep all segments and snapshots as long as this is entered: for a copy of the folder while the system runs.

        Entered once what was just being dropped is gone. Copy the snapshots first, then the segments in ascending order. What
        `history` says is done at the next snapshot after it. From another process a young file does the same: see
        docs/OPERATIONS.md, Backup.

        Raises:
            NotRunning: the system does not run; its folder can be copied as it is.
        """
        with self._system.runtime.log.store.hold_history():
            yield

    def _name(self, kind: str | type) -> str:
        return self._system.drafts.names.of(kind)


def _percentiles(of: str, times: RunTimes) -> dict[str, float]:
    return {f"{of}_p{p}_s": times.percentile_us(p / 100) / 1_000_000 for p in (50, 95, 99)}


class Actors:
    """The live actors by name, for those who look under the bonnet, and for chaos. Safe in any thread."""

    def __init__(self, system: RunningSystem) -> None:
        self._system = system

    def __getitem__(self, name: str) -> pykka.ActorRef[Any]:
        """Give the ref of the actor that holds a name now."""
        return self._system.runtime.directory.actors[self._find(name)].actor_ref

    def __iter__(self) -> Iterator[str]:
        """Give all names."""
        return iter(list(self._system.runtime.directory.actors))

    def __len__(self) -> int:
        """Count them."""
        return len(self._system.runtime.directory.actors)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an actor of that name."""
        return name in self._system.runtime.directory.actors

    def keys(self) -> list[str]:
        """Give all names."""
        return list(self._system.runtime.directory.actors)

    def items(self) -> list[tuple[str, pykka.ActorRef[Any]]]:
        """Give all names with their refs."""
        return [(name, actor.actor_ref) for name, actor in list(self._system.runtime.directory.actors.items())]

    def kill(self, name: str) -> None:
        """Have an actor die at once, wherever its thread is; its supervisor starts a successor. For chaos tests.

        Raises:
            KeyError: there is no actor of that name.
        """
        self._system.runtime.directory.actors[self._find(name)].kill()

    def _find(self, name: str) -> str:
        names = self._system.runtime.directory.actors
        plain = name.lower().replace("-", "_").replace("deadletters", "dead_letters")
        for known in (name, plain):
            if known in names:
                return known
        msg = f"no actor is named {name!r}; there are: {', '.join(names)}"
        raise KeyError(msg)
