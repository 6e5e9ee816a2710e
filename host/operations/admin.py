"""Administration of a running system: metrics, number of workers, pauses, snapshots.

Each method sends a command to the actor that decides it. Not here: the decisions, which are rules in `events`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.messages import Report, TakeSnapshot
from perdure.actors.sessions.figures import PERCENTILES
from perdure.arguments.acting import new_act
from perdure.arguments.choices import check_whole
from perdure.arguments.labels import check_label
from perdure.arguments.moments import checked_id, moment
from perdure.events.commands import LookUp, RunNow
from perdure.events.errors import InvalidMessage
from perdure.events.handlers import registry as rules
from perdure.events.keyword_options import shows
from perdure.events.queue.state import TypeCounts
from perdure.events.seconds import shown
from perdure.handling.options.handler_options import ChangeableKeywords, check_changes
from perdure.operations.bulk.cancels_where import CancelsWhere
from perdure.operations.metrics import DeputyInfo, HandlerInfo, Metrics, ProcessInfo, from_counts, oldest_s, totals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    import pykka

    from perdure.actors.queue.queue_report import QueueReport
    from perdure.operations.running_system import HasRuntime, RunningSystem

__all__ = ["Actors", "Admin"]

SNAPSHOT_TIMEOUT_S = 600.0


class Admin(CancelsWhere):
    """Reads metrics and changes handlers. Safe in any thread; a method that changes something returns once it is on disk.

    Raises:
        NotRunning, StoreUnavailable: every method, as `System.publish`.
        TimeoutError: no answer within a minute; what was asked may be done all the same.
        NotAllowed: within `acting_as`, and from another process: the system's `authorize` refuses the act.
    """

    def __init__(self, system: RunningSystem) -> None:
        self._system = system

    def metrics(self) -> Metrics:
        """Return the counts as the log records them now; takes the right `look` for each type that there is."""
        self._system.permit("look")
        report: QueueReport = self._system.ask("queue", Report())
        self._system.permit("look", lambda: report.by_type)
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
        figures = self._system.run_figures()
        since_start = totals(report.by_type, figures.ended_before)
        since_ms = report.ids_forgotten_ms
        return attrs.evolve(
            counts,
            since_start=since_start,
            ids_remembered=report.ids_remembered,
            ids_forgotten=report.ids_forgotten,
            ids_remembered_since=moment(since_ms * 1000) if since_ms else None,
            progress=progress,
            runtime_counters=figures.counters,
            spilled_bytes=figures.spilled_bytes,
            deputies=tuple(DeputyInfo(**attrs.asdict(deputy)) for deputy in figures.deputies),
            oldest_ready_s={name: age for name in report.first_ready if (age := oldest_s(report, name)) is not None},
        )

    def handlers(self) -> dict[str, HandlerInfo]:
        """Return the workers, counts and latencies of each handler, by type name; takes `look` for each type that there is."""
        self._system.permit("look")
        report: QueueReport = self._system.ask("queue", Report())
        self._system.permit("look", lambda: report.by_type)
        wanted: dict[str, tuple[int, bool]] = self._system.ask("dispatcher", Report())
        found = {}
        handlers = self._system.run_figures().handlers
        self._system.permit("look", lambda: handlers)
        for name, figures in handlers.items():
            counts = report.by_type.get(name) or TypeCounts()
            parallelism, paused = wanted.get(name, (figures.target, False))
            found[name] = HandlerInfo(
                type=name,
                workers=figures.workers,
                active=figures.active,
                parallelism=parallelism,
                paused=paused,
                ready=counts.ready,
                in_flight=counts.in_flight,
                processed=figures.processed,
                failed=figures.failed,
                completed=counts.completed,
                retried=counts.retried,
                rate_per_s=figures.rate_per_s,
                processes=tuple(ProcessInfo(**attrs.asdict(process)) for process in figures.processes),
                **_percentiles("run", figures.run_us),
                **_percentiles("wait", figures.wait_us),
            )
        return found

    def scale(self, type: str | type, n: int) -> None:
        """Set the number of workers of a handler; running work is not interrupted. The setting outlives restarts.

        Args:
            type: a message class or a type name.
            n: how many, from 0 to 10,000; with 0 its messages wait.

        Raises:
            UnknownMessageType: no handler is registered for that type.
            ValueError: `n` is not a whole number from 0 to 10,000.
        """
        name, parallelism = self._name(type), check_whole("n", n, 0, rules.WORKERS_MAX)
        self._system.permit("scale", lambda: [name])
        self._system.ask("dispatcher", rules.Scale(name, parallelism, new_act("scale", name)))

    @shows(ChangeableKeywords, defaults={})
    def configure(self, type: str | type, **options: Unpack[ChangeableKeywords]) -> None:
        """Change `timeout`, `lease`, `renew`, `retries` or `rate` of a handler, as in `System.handler`, from its next delivery on.

        The log records the change. It outlives restarts until the code registers the handler with other options than before.

        Args:
            type: a message class or a type name.
            options: those to change; the others stay as they are.

        Raises:
            UnknownMessageType: no handler is registered for that type.
            InvalidMessage: an option is out of its range, or cannot be changed.
        """
        name = self._name(type)
        self._system.permit("configure", lambda: [name])
        self._system.ask("dispatcher", rules.Configure(name, check_changes(options), new_act("configure", name)))

    def pause(self, type: str | type | None = None) -> None:
        """Start no more deliveries of a type, or of all types. Running handlers and publishing go on. A pause outlives restarts.

        Args:
            type: a message class or a type name, with or without a handler; all types unless given.

        Raises:
            UnknownMessageType: the class has no name.
        """
        name = "" if type is None else self._name(type)
        self._system.permit("pause", lambda: [name])
        self._system.ask("dispatcher", rules.Pause(name, new_act("pause", name)))

    def resume(self, type: str | type | None = None) -> None:
        """Continue deliveries of a type, or of all types, which also ends the pauses of single types.

        Raises:
            UnknownMessageType: the class has no name.
        """
        name = "" if type is None else self._name(type)
        self._system.permit("resume", lambda: [name])
        self._system.ask("dispatcher", rules.Resume(name, new_act("resume", name)))

    def run_now(self, id: str | None = None, *, schedule: str | None = None) -> str:
        """Make a delayed message, or a tick of a schedule, due now; return the id of the message.

        A tick comes beside the schedule's own ticks, which go on as they would. The schedule must be registered in the process that
        owns the log. Within `acting_as` the right is `run-now`, for the message's type or the schedule's name.

        Args:
            id: a message that waits for its time: it was published with `delay` or `at`, or waits for its next attempt.
            schedule: the name of a schedule; see `System.every`.

        Raises:
            UnknownMessage: the message does not wait for a time, or no such schedule is registered there.
            InvalidMessage: neither of both is given, or both are.
        """
        if (id is None) == (schedule is None):
            msg = "run_now: the id of a delayed message, or schedule=NAME"
            raise InvalidMessage(msg)
        if schedule is not None:
            name = check_label("schedule", schedule)
            self._system.permit("run-now", lambda: [name])
            due_us = self._system.clock.wall_us()
            ident: str = self._system.ask("queue", RunNow(schedule=name, due_us=due_us, act=new_act("run-now", name)))
            return ident
        ident = checked_id("id", id)
        self._system.permit("run-now", lambda: [str(self._system.ask("queue", LookUp(ident)).type)])
        self._system.ask("queue", RunNow(ident, act=new_act("run-now", ident)))
        return ident

    def snapshot(self) -> int:
        """Take a snapshot now and return the sequence number of the last event in it.

        Raises:
            StoreUnavailable: the snapshot could not be written; nothing else is affected.
        """
        self._system.permit("snapshot")
        self._system.ask("dispatcher", rules.Note(new_act("snapshot", "")))
        seq: int = self._system.ask("snapshotter", TakeSnapshot(), timeout_s=SNAPSHOT_TIMEOUT_S)
        return seq

    @contextmanager
    def hold_history(self) -> Iterator[None]:
        """Keep all segments and snapshots while the block runs, so that the folder of a running system can be copied.

        Entering waits until a removal that is under way is done. Copy the snapshots first, then the segments in ascending order.
        The next snapshot after the block applies `Options.history` again. Another process does the same with a recently modified
        file; see docs/OPERATIONS.md, Backup.

        Raises:
            NotRunning: the system does not run; its folder can be copied as it is.
        """
        with self._system.hold_history():
            yield

    def _name(self, kind: str | type) -> str:
        return self._system.drafts.names.of(kind)


def _percentiles(of: str, times_us: tuple[float, ...]) -> dict[str, float]:
    return {f"{of}_p{p}_s": time_us / 1_000_000 for p, time_us in zip(PERCENTILES, times_us, strict=True)}


class Actors:
    """The live actors by name, for debugging and chaos tests. Safe in any thread.

    Within `acting_as`, a reference and `kill` take the right `kill`, as a reference can do all that an actor can.
    """

    def __init__(self, system: HasRuntime) -> None:
        self._system = system

    def __getitem__(self, name: str) -> pykka.ActorRef[Any]:
        """Return the reference of the actor that has this name now."""
        self._system.permit("kill")
        return self._system.runtime.directory.actors[self._find(name)].actor_ref

    def __iter__(self) -> Iterator[str]:
        """Return all names."""
        return iter(list(self._system.runtime.directory.actors))

    def __len__(self) -> int:
        """Return the number of live actors."""
        return len(self._system.runtime.directory.actors)

    def __contains__(self, name: object) -> bool:
        """Return whether an actor has that name."""
        return name in self._system.runtime.directory.actors

    def keys(self) -> list[str]:
        """Return all names."""
        return list(self._system.runtime.directory.actors)

    def items(self) -> list[tuple[str, pykka.ActorRef[Any]]]:
        """Return all names with their references."""
        self._system.permit("kill")
        return [(name, actor.actor_ref) for name, actor in list(self._system.runtime.directory.actors.items())]

    def kill(self, name: str) -> None:
        """Kill an actor at once, wherever its thread is; the supervisor starts a successor. For chaos tests.

        Raises:
            KeyError: no actor has that name.
        """
        self._system.permit("kill")
        self._system.runtime.directory.actors[self._find(name)].kill()

    def _find(self, name: str) -> str:
        names = self._system.runtime.directory.actors
        if not isinstance(name, str):
            msg = f"name: the name of an actor, not {shown(name)}"
            raise TypeError(msg)
        plain = name.lower().replace("-", "_").replace("deadletters", "dead_letters")
        for known in (name, plain):
            if known in names:
                return known
        msg = f"no actor is named {shown(name)}; the names are: {', '.join(names)}"
        raise KeyError(msg)
