"""Rows that several pages show: message types with their counts, and what happened to the system itself."""

from __future__ import annotations

from itertools import groupby, islice, pairwise
from typing import TYPE_CHECKING

import attrs

from perdure.console.pages.parts.attention import oldest_ready_us
from perdure.console.pages.parts.seen import sees_subject
from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.console.console import View
    from perdure.console.log.index import Happening
    from perdure.console.pages.parts.page import Page
    from perdure.operations.reading.acts import OperatorAct

__all__ = ["HappeningRow", "TypeRow", "acts_until", "happening_row", "happenings_until", "type_rows"]

RATE_SAMPLES = 30


@attrs.frozen(kw_only=True)
class TypeRow:
    """One message type at the moment that a page shows."""

    type: str
    ready: int
    in_flight: int
    delayed: int
    held: int
    dead: int
    published: int
    completed: int
    failed: int
    oldest_s: float | None
    paused: bool
    workers: int | None
    """How many workers its handler should have in each process; None where none was ever registered."""
    rates: list[float]
    """Completed a second, oldest first; empty for the past."""


@attrs.frozen
class HappeningRow:
    """A happening in words."""

    seq: int
    at_us: int
    text: str
    level: str = ""


def type_rows(view: View, now_us: int) -> list[TypeRow]:
    """Return all types, by name."""
    states = view.states
    rates = {} if view.is_past else _rates(view)
    rows = []
    for name, counts in sorted(states.queue.by_type.items()):
        handler = states.handlers.handlers.get(name)
        oldest = oldest_ready_us(view, name)
        rows.append(
            TypeRow(
                type=name,
                ready=counts.ready,
                in_flight=counts.in_flight,
                delayed=counts.delayed,
                held=counts.held,
                dead=view.groups.by_type.get(name, 0),
                published=counts.published,
                completed=counts.completed,
                failed=counts.failed,
                oldest_s=max(0.0, (now_us - oldest) / 1e6) if oldest else None,
                paused=states.handlers.is_paused(name),
                workers=None if handler is None else handler.parallelism,
                rates=rates.get(name, []),
            )
        )
    return rows


def _rates(view: View) -> dict[str, list[float]]:
    samples = list(view.live.samples)[-RATE_SAMPLES - 1 :]
    found: dict[str, list[float]] = {}
    for before, after in pairwise(samples):
        passed_s = max(0.001, (after.at_us - before.at_us) / 1e6)
        for name, (_, completed, _, _) in after.by_type.items():
            was = before.by_type.get(name, (0, 0, 0, 0))[1]
            found.setdefault(name, []).append(max(0, completed - was) / passed_s)
    return found


def happenings_until(page: Page, most: int) -> list[HappeningRow]:
    """Return what happened to the system itself up to the moment that is shown, newest first."""
    view = page.shown
    found = (happening_row(one, sees_all=page.sees_all) for one in reversed(view.index.happenings) if one.seq <= view.seq)
    return list(islice(_together(one for one in found if not page.hides(one.text)), most))


def _together(rows: Iterable[HappeningRow]) -> Iterator[HappeningRow]:
    """Yield rows, newest first, those of one text that follow one another as one: a full disk may restart an actor 200 times."""
    for text, alike in groupby(rows, key=lambda row: row.text):
        newest, *older = alike
        yield attrs.evolve(newest, text=f"{text} ({1 + len(older):,} times)") if older else newest


def acts_until(page: Page) -> Iterator[OperatorAct]:
    """Yield the acts of operators up to the moment that is shown, newest first, but for those that name a hidden type."""
    view = page.shown
    for act in reversed(view.index.acts):
        if act.seq > view.seq or page.hides(f"{act.subject} {act.reason}"):
            continue
        if page.sees_all or sees_subject(view.states, act.subject, page.looks):
            yield act


def happening_row(happening: Happening, *, sees_all: bool) -> HappeningRow:
    """Return a happening in words. `sees_all`: also what an actor died of, which may be about a message of any type."""
    text, level = "", ""
    match happening.event:
        case ev.Started() as event:
            text = f"Process {event.pid} opened the log, perdure {event.version}"
        case ev.Stopped():
            text = "The owner stopped in good order"
        case ev.ActorRestarted() as event:
            text, level = (
                f"Actor {event.actor} died and was restarted{f': {event.cause}' if sees_all and event.cause else ''}",
                "warn",
            )
        case ev.ProcessJoined() as event:
            text = f"Process {event.pid} joined ({event.name or 'unnamed'})"
        case ev.ProcessLeft() as event:
            text = f"Process {event.pid} left ({event.name or 'unnamed'})"
        case ev.HandlerRegistered() as event:
            text = f"Handler of {event.type}: {event.parallelism} worker(s), {event.retries} retries"
    return HappeningRow(happening.seq, happening.at_us, text, level)
