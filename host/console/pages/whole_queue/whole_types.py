"""Message types over all partitions: their sums, and one type with its settings, its row in each partition and what can be changed.

An act on a type is one in each partition (`perdure.console.whole_acts`). Not here: a type in one partition (`types`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.pages.parts.page_rows import type_rows
from perdure.console.pages.types import OPTIONS, handlers_of, settings_of
from perdure.console.pages.whole_queue.whole_lists import WholeGroup, note_groups
from perdure.console.pages.whole_queue.whole_page import Sums, look_at_each
from perdure.events.errors import UnknownMessageType

if TYPE_CHECKING:
    from perdure.actors.sessions.figures import HandlerFigures
    from perdure.console.log.groups import Cause
    from perdure.console.pages.parts.page import Page
    from perdure.console.pages.parts.page_rows import TypeRow
    from perdure.console.pages.whole_queue.whole_page import PartitionRow, WholePage

__all__ = ["whole_type", "whole_types"]

CAUSES_SHOWN = 10


@attrs.define
class WholeType:
    """One type over all partitions."""

    sums: Sums = attrs.field(factory=Sums)
    paused: list[int] = attrs.field(factory=list)
    """The partitions in which it is paused."""
    workers: set[int] = attrs.field(factory=set)
    """How many workers its handler should have in each process, as the partitions have it."""
    rows: dict[int, TypeRow] = attrs.field(factory=dict)
    figures: list[HandlerFigures] = attrs.field(factory=list)
    """As its handler runs now, of the partitions whose run has told."""

    def add(self, number: int, row: TypeRow) -> None:
        """Add the counts of a partition."""
        self.sums.add(row)
        self.rows[number] = row
        if row.paused:
            self.paused.append(number)
        if row.workers is not None:
            self.workers.add(row.workers)

    @property
    def is_running(self) -> bool:
        """Whether any run has told of its handler."""
        return bool(self.figures)

    def running(self, name: str) -> Any:
        """Return the sum of a figure over the runs."""
        return sum(getattr(one, name) for one in self.figures)

    def slowest(self, name: str) -> tuple[float, ...]:
        """Return percentiles of a time, of the partition that is slowest at each."""
        return tuple(max(of_each) for of_each in zip(*(getattr(one, name) for one in self.figures), strict=True))


def whole_types(page: WholePage) -> None:
    """Show all types.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    found: dict[str, WholeType] = {}
    paused: list[int] = []

    def read(part: Page, row: PartitionRow) -> None:
        _add(part, row.number, found)
        if part.shown.states.handlers.paused:
            paused.append(row.number)

    look_at_each(page, read)
    page.show("whole_types.html", whole=None, types=sorted(found.items()), paused=paused, **page.unread())


def whole_type(page: WholePage) -> None:
    """Show one type.

    Raises:
        UnknownMessageType: there was none of that name at that moment, in any partition that was read.
        NotAllowed: the principal may not look at it.
        InvalidMessage: the moment is none, or an event's number.
    """
    name = page.request.path_params["type"]
    page.rights.rights.require(page.rights.principal, "look", [name])
    found: dict[str, WholeType] = {}
    settings: dict[str, dict[str, list[int]]] = {}
    changes: dict[str, dict[str, list[int]]] = {}
    groups: dict[Cause, WholeGroup] = {}
    has_handler = False

    def read(part: Page, row: PartitionRow) -> None:
        nonlocal has_handler
        _add(part, row.number, found, only=name)
        note_groups(part, groups, only=name)
        handler = part.shown.states.handlers.handlers.get(name)
        has_handler = has_handler or handler is not None
        for label, value in settings_of(handler).items():
            settings.setdefault(label, {}).setdefault(str(value), []).append(row.number)
        for label, value in ({} if handler is None else handler.changes).items():
            changes.setdefault(label, {}).setdefault(str(value), []).append(row.number)

    look_at_each(page, read)
    unread = page.unread()
    if name not in found and not has_handler and not unread["unread"]:
        msg = f"no message of type {name!r} was published, and no handler registered, up to this moment in any partition"
        raise UnknownMessageType(msg)
    page.show(
        "whole_type.html",
        whole=None,
        name=name,
        one=found.get(name, WholeType()),
        has_handler=has_handler,
        settings=settings,
        changes=changes,
        groups=sorted(groups.values(), key=lambda one: (-one.count, one.cause))[:CAUSES_SHOWN],
        options=OPTIONS,
        **unread,
    )


def _add(part: Page, number: int, found: dict[str, WholeType], *, only: str = "") -> None:
    """Add the types of a partition to those of all."""
    view = part.shown
    now_us = view.at_us if view.is_past else round(time.time() * 1e6)
    for row in type_rows(view, now_us):
        if part.looks(row.type) and only in ("", row.type):
            found.setdefault(row.type, WholeType()).add(number, row)
    for name, figures in handlers_of(part).items():
        if name in found:
            found[name].figures.append(figures)
