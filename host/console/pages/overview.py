"""The first page: what needs attention, figures, charts, and each type on one line."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from perdure.console.pages.parts.attention import alerts
from perdure.console.pages.parts.graphs import graphs, rates_now
from perdure.console.pages.parts.page_rows import acts_until, happenings_until, type_rows

if TYPE_CHECKING:
    from perdure.console.pages.parts.page import Page

__all__ = ["overview"]

TYPES_SHOWN = 30
LATEST = 8


def overview(page: Page) -> None:
    """Show the queue as a whole."""
    view = page.shown
    now_us = view.at_us if view.is_past else round(time.time() * 1e6)
    over = "history" if page.asked("over") == "history" or view.is_past else "minutes"
    rows = [row for row in type_rows(view, now_us) if page.looks(row.type)]
    size = page.console.reader.size()
    page.show(
        "overview.html",
        now_us=now_us,
        alerts=alerts(page, now_us),
        in_flight=sum(row.in_flight for row in rows),
        delayed=sum(row.delayed for row in rows),
        held=sum(row.held for row in rows),
        ready=sum(row.ready for row in rows),
        dead=page.dead,
        rates=None if view.is_past or not page.sees_all else rates_now(view, now_us),
        oldest_s=max((row.oldest_s for row in rows if row.oldest_s is not None), default=None),
        log_bytes=size.bytes,
        segments=size.segments,
        snapshots=size.snapshots,
        disk=page.console.disk(),
        over=over,
        graphs=graphs(view, over=over, now_us=now_us) if page.sees_all else None,
        rows=sorted(rows, key=lambda row: -(row.ready + row.in_flight + row.dead))[:TYPES_SHOWN],
        rows_all=len(rows),
        groups=[group for group in view.groups.biggest() if page.looks(group.cause.type)][:5],
        acts=list(islice(acts_until(page), LATEST)),
        happenings=happenings_until(page, LATEST),
    )
