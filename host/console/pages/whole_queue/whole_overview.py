"""All partitions of a queue on one page: the sums over them, a row for each, and what needs attention in any.

Sums are of the partitions that are read; where one is not, the page says so and comes again by itself. Not here: the address that
shows it (`perdure.console.whole_console`), and what is about one partition (`overview`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perdure.console.pages.parts.attention import alerts
from perdure.console.pages.parts.graphs import rates_now
from perdure.console.pages.parts.page_rows import type_rows
from perdure.console.pages.whole_queue.whole_page import Sums, look_at_each

if TYPE_CHECKING:
    from perdure.console.pages.parts.attention import Alert
    from perdure.console.pages.parts.page import Page
    from perdure.console.pages.whole_queue.whole_page import PartitionRow, WholePage

__all__ = ["whole_overview"]

ALERTS_MAX = 12
TYPES_SHOWN = 30


def whole_overview(page: WholePage) -> None:
    """Show the sums over all partitions.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    now_us = round(time.time() * 1e6)
    whole, sees_all = Sums(), True
    types: dict[str, Sums] = {}
    found: list[tuple[Alert, str, int]] = []

    def read(part: Page, row: PartitionRow) -> None:
        nonlocal sees_all
        view = part.shown
        for of_type in type_rows(view, view.at_us if view.is_past else now_us):
            if part.looks(of_type.type):
                row.sums.add(of_type)
                types.setdefault(of_type.type, Sums()).add(of_type)
        if not part.sees_all:
            sees_all = False
        elif not view.is_past:
            row.sums.rates = rates_now(view, now_us)
        found.extend((alert, page.one(row.number, alert.path, **alert.params), row.number) for alert in alerts(part, now_us))

    look_at_each(page, read)
    for row in page.rows:
        whole.add(row.sums)
        if sees_all:
            whole.add_rates(row.sums.rates)
        else:
            row.sums.rates = {}  # also of a partition that has no hidden type yet: all rows say the same
    ordered = sorted(types.items(), key=lambda item: -(item[1].ready + item[1].in_flight + item[1].dead))
    page.show(
        "whole.html",
        whole=whole,
        rows=page.rows,
        **page.unread(),
        sees_all=sees_all,
        types=ordered[:TYPES_SHOWN],
        types_all=len(ordered),
        alerts=sorted(found, key=lambda one: one[0].level != "bad")[:ALERTS_MAX],
    )
