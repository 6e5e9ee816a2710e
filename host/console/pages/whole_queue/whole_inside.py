"""Schedules, processes and actors of all partitions: a row for each schedule, else one for each partition, as sums say little here.

Not here: those of one partition (`inside`), which also show what each process and actor does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.pages.inside import LATEST, OF_MESSAGES, counters_of, deaths_of, names_of_actors, present_of, schedule_rows
from perdure.console.pages.parts.page_rows import happenings_until
from perdure.console.pages.types import handlers_of
from perdure.console.pages.whole_queue.whole_page import look_at_each

if TYPE_CHECKING:
    from perdure.console.pages.parts.page import Page
    from perdure.console.pages.parts.page_rows import HappeningRow
    from perdure.console.pages.whole_queue.whole_page import PartitionRow, WholePage

__all__ = ["whole_actors", "whole_processes", "whole_schedules"]


def whole_schedules(page: WholePage) -> None:
    """Show schedules, each with the partition in which it ticks.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    rows: list[dict[str, Any]] = []
    is_here = False

    def read(part: Page, row: PartitionRow) -> None:
        nonlocal is_here
        is_here = is_here or part.console.system is not None
        rows.extend({**one, "partition": row.number} for one in schedule_rows(part))

    look_at_each(page, read)
    page.show(
        "whole_schedules.html",
        whole=None,
        schedules=sorted(rows, key=lambda row: (row["name"], row["partition"])),
        is_here=is_here,
        **page.unread(),
    )


@attrs.define
class ProcessesRow:
    """The processes that use one partition, and its log."""

    present: Any
    active: int
    workers: int
    is_told: bool
    """Whether its run has told how many workers there are."""
    first: int
    last: int
    bytes: int


def whole_processes(page: WholePage) -> None:
    """Show the partitions with their owners, the processes that joined them, and their logs; and what is on record of all.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    found: dict[int, ProcessesRow] = {}
    happenings: list[tuple[int, HappeningRow]] = []

    def read(part: Page, row: PartitionRow) -> None:
        view = part.shown
        handlers = [*handlers_of(part).values()]
        found[row.number] = ProcessesRow(
            present_of(part),
            sum(one.active for one in handlers),
            sum(one.workers for one in handlers),
            part.figures is not None,
            view.reader.first_seq,
            view.seq,
            part.console.reader.size().bytes,
        )
        happenings.extend((row.number, one) for one in happenings_until(part, LATEST))

    look_at_each(page, read)
    owners = {row.owner.owner for row in page.rows if row.owner is not None and row.owner.owner}
    page.show(
        "whole_processes.html",
        whole=None,
        rows=page.rows,
        found=found,
        owners=len(owners),
        owned=sum(1 for row in page.rows if row.owner is not None and row.owner.owner),
        are_owners_known=bool(page.partitions),
        happenings=sorted(happenings, key=lambda one: -one[1].at_us)[:LATEST],
        **page.unread(),
    )


def whole_actors(page: WholePage) -> None:
    """Show how many actors live in each partition, which have died in any, and the counters of all runs together.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    alive: dict[int, int | None] = {}
    restarts: dict[int, list[tuple[str, HappeningRow]]] = {}
    counters, sees_all = Counter[str](), True

    def read(part: Page, row: PartitionRow) -> None:
        nonlocal sees_all
        sees_all = sees_all and part.sees_all
        names = names_of_actors(part)
        alive[row.number] = None if names is None else len(names)
        of_each = deaths_of(part)
        restarts[row.number] = sorted(((name, one) for name, rows in of_each.items() for one in rows), key=lambda one: -one[1].seq)
        counters.update(counters_of(part))

    look_at_each(page, read)
    deaths = [(number, one) for number, rows in restarts.items() for _, one in rows[:LATEST]]
    page.show(
        "whole_actors.html",
        whole=None,
        rows=page.rows,
        alive=alive,
        restarts=restarts,
        deaths=sorted(deaths, key=lambda one: -one[1].at_us)[:LATEST],
        counters={name: count for name, count in counters.items() if sees_all or name not in OF_MESSAGES},
        **page.unread(),
    )
