"""The system itself: schedules, processes and partitions, and its actors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.pages.parts.page_rows import happening_row, happenings_until
from perdure.console.pages.parts.seen import sees_schedule
from perdure.console.pages.types import ask_figures, handlers_of
from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from perdure.console.pages.parts.page import Page
    from perdure.console.pages.parts.page_rows import HappeningRow

__all__ = [
    "LATEST",
    "OF_MESSAGES",
    "actors",
    "ask_partitions",
    "counters_of",
    "deaths_of",
    "names_of_actors",
    "present_of",
    "processes",
    "schedule_rows",
    "schedules",
]

LATEST = 50
OF_MESSAGES = frozenset({"spooled_messages_taken_in", "ingress_rows_taken_in", "encoding_errors"})
"""Counters that count messages of all types."""


def schedules(page: Page) -> None:
    """Show schedules: the last tick of each, and the next where this process knows it."""
    page.show("schedules.html", rows=schedule_rows(page), is_here=page.console.system is not None)


def schedule_rows(page: Page) -> list[dict[str, Any]]:
    """Return a line for each schedule of a log that may be seen, by name."""
    view, system = page.shown, page.console.system
    known = {} if system is None or view.is_past else system.inner.registered.schedules
    now_us = round(time.time() * 1e6)
    names = sorted(name for name in {*view.states.queue.ticks, *known} if sees_schedule(name, page.looks) and not page.hides(name))
    rows = []
    for name in names:
        last = view.index.ticks.get(name)
        schedule = known.get(name)
        rows.append(
            {
                "name": name,
                "due_us": view.states.queue.ticks.get(name, 0),
                "count": None if last is None or view.is_past else last.count,
                "next_us": None if schedule is None else schedule.after(now_us),
                "missed": "" if schedule is None else schedule.missed,
            }
        )
    return rows


def ask_partitions(page: Page) -> None:
    """Fetch the figures of the run, and the owners of the partitions from the database."""
    ask_figures(page)
    page.partitions = [] if page.at else page.console.partitions.newest() or []


@attrs.define
class Present:
    """The processes that used a log at the moment that is shown."""

    owner: dict[str, Any] | None = None
    members: list[dict[str, Any]] = attrs.field(factory=list)
    is_known: bool = False
    """Whether the log is read so far: a process that joined may have left in what is not read yet."""


def present_of(page: Page) -> Present:
    """Return the processes that use a log, as derived from its starts, stops, joins and departures."""
    view = page.shown
    present: dict[str, dict[str, Any]] = {}
    owner: dict[str, Any] | None = None
    for happening in view.index.happenings:
        if happening.seq > view.seq:
            break
        match happening.event:
            case ev.Started() as event:
                owner = {"pid": event.pid, "since_us": happening.at_us, "version": event.version, "run": event.run}
                present.clear()
            case ev.Stopped():
                owner = None
                present.clear()
            case ev.ProcessJoined() as event:
                present[event.member] = {"pid": event.pid, "name": event.name, "since_us": happening.at_us}
            case ev.ProcessLeft() as event:
                present.pop(event.member, None)
    return Present(owner, list(present.values()), is_known=True) if view.index.seq >= view.seq else Present()


def processes(page: Page) -> None:
    """Show the processes that use the log, and the owner's starts and stops."""
    view, using = page.shown, present_of(page)
    work: dict[int, list[tuple[str, Any]]] = {}
    for kind, info in handlers_of(page).items():
        for process in info.processes:
            work.setdefault(process.pid, []).append((kind, process))
    size = page.console.reader.size()
    page.show(
        "processes.html",
        deputies={} if page.figures is None else {deputy.pid: deputy.seq for deputy in page.figures.deputies},
        owner=using.owner,
        is_known=using.is_known,
        present=using.members,
        work=work,
        log={"address": page.console.reader.address or "memory", "first": view.reader.first_seq, "bytes": size.bytes},
        happenings=happenings_until(page, LATEST),
    )


def actors(page: Page) -> None:
    """Show the actors, and what became of those that died."""
    restarts = deaths_of(page)
    deaths = sorted((row for rows in restarts.values() for row in rows), key=lambda row: -row.seq)
    page.show(
        "actors.html",
        names=names_of_actors(page) or [],
        restarts=restarts,
        deaths=deaths[:LATEST],
        counters=counters_of(page),
        is_here=page.console.system is not None,
    )


def names_of_actors(page: Page) -> list[str] | None:
    """Return the actors that live and may be seen; None where that is not known: they are in another process, or of the past."""
    system = page.console.system
    return None if system is None or page.shown.is_past else sorted(name for name in system.actors if not page.hides(name))


def deaths_of(page: Page) -> dict[str, list[HappeningRow]]:
    """Return the restarts of each actor up to the moment that is shown, the oldest first."""
    view = page.shown
    restarts: dict[str, list[HappeningRow]] = {}
    for happening in view.index.happenings:
        if isinstance(happening.event, ev.ActorRestarted) and happening.seq <= view.seq:
            row = happening_row(happening, sees_all=page.sees_all)
            if not page.hides(row.text):
                restarts.setdefault(happening.event.actor, []).append(row)
    return restarts


def counters_of(page: Page) -> dict[str, int]:
    """Return the counters of the run, without those that count messages which the principal may not look at."""
    counters = {} if page.figures is None else page.figures.counters
    return {name: count for name, count in counters.items() if page.sees_all or name not in OF_MESSAGES}
