"""What an operator should look at first: pauses, stuck groups, types without workers, a full disk. Each with a way on.

Pure but for the disk. The rules are few and look at a bounded number of things.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import attrs

from perdure.operations.reading.stuck_groups import stuck_groups
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perdure.console.console import Console, View
    from perdure.console.pages.parts.page import Page

__all__ = ["Alert", "alerts", "oldest_ready_us"]

LONG_WAIT_S = 60.0
DISK_FREE_PART = 0.05
DISK_FREE_BYTES = 1 << 30
SHOWN_MAX = 5


@attrs.frozen
class Alert:
    """Something to look at: how bad, in words, and where to go."""

    level: str
    """`bad` or `warn`."""
    text: str
    path: str = ""
    params: dict[str, str] = attrs.field(factory=dict)
    action: str = ""


def alerts(page: Page, now_us: int) -> list[Alert]:
    """Return what needs attention, the worst first."""
    view = page.shown
    found = [
        *_log(view, {} if page.figures is None else page.figures.counters),
        *(() if view.is_past else _disk(page.console)),
        *_pauses(page),
        *_handlers(page, now_us),
        *_groups(page, now_us),
    ]
    return sorted(found, key=lambda alert: alert.level != "bad")


def _log(view: View, counters: Mapping[str, int]) -> Iterator[Alert]:
    errors = counters.get("io_errors", 0)
    if errors:
        what = "what was refused is not there, and its publisher was told so; work goes on by itself once the disk takes it"
        yield Alert("bad", f"The log could not be written {errors:,} time(s) in this run; {what}", "/actors", action="Counters")
    if view.live.error:
        yield Alert("bad", f"The log cannot be read: {view.live.error}")


def _disk(console: Console) -> Iterator[Alert]:
    disk = console.disk()
    if disk is None:
        return
    used, free = disk
    if free < DISK_FREE_BYTES or free < (used + free) * DISK_FREE_PART:
        what = "free some space on the same file system, but remove nothing from the data folder; work then goes on by itself"
        yield Alert("bad", f"The disk has {free / 2**20:,.0f} MiB left: {what}")


def _pauses(page: Page) -> Iterator[Alert]:
    handlers = page.shown.states.handlers
    if handlers.paused:
        yield Alert("warn", "Deliveries of all types are paused", "/types", action="Types")
    for name in sorted(filter(page.looks, handlers.paused_types))[:SHOWN_MAX]:
        yield Alert("warn", f"{name}: deliveries are paused", f"/types/{name}", action="Look")


def _handlers(page: Page, now_us: int) -> Iterator[Alert]:
    view = page.shown
    for name, counts in sorted(view.states.queue.by_type.items()):
        handler = view.states.handlers.handlers.get(name)
        if not counts.ready or view.states.handlers.is_paused(name) or not page.looks(name):
            continue
        if handler is None:
            yield Alert(
                "warn", f"{name}: {counts.ready:,} ready, and no handler was ever registered", f"/types/{name}", action="Look"
            )
        elif not handler.parallelism:
            yield Alert("warn", f"{name}: {counts.ready:,} ready, and its handler has 0 workers", f"/types/{name}", action="Scale")
        elif (since := oldest_ready_us(view, name)) and (now_us - since) / 1e6 > LONG_WAIT_S:
            minutes = (now_us - since) / 60e6
            yield Alert(
                "warn", f"{name}: the first ready message has waited for {minutes:,.0f} min", f"/types/{name}", action="Look"
            )


def _groups(page: Page, now_us: int) -> Iterator[Alert]:
    for group in islice(stuck_groups(page.shown.states.queue, now_us, None if page.sees_all else page.looks), SHOWN_MAX):
        yield Alert("bad", group.told(now_us), f"/messages/{group.head}", action="Look at it")


def oldest_ready_us(view: View, type_name: str) -> int:
    """Return when the id of the first ready message of a type was made; 0 where there is none, or the host chose its id."""
    ready = view.states.queue.ready_queues.get(type_name)
    first = ready.first(1) if ready is not None else []
    if not first:
        return 0
    number = first[0][0] if isinstance(first[0], range) else first[0].number
    message = view.states.queue.look(number)
    return made_us(message.published.id) if message is not None else 0
