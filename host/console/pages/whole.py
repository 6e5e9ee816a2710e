"""All partitions of a queue on one page: the sums over them, a row for each, and what needs attention in any.

Sums are of the partitions that are read; where one is not, the page says so and comes again by itself. Not here: the address that
shows it (`perdure.console.whole_console`), and what is about one partition (`overview`).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import attrs

from perdure.arguments.moments import moment
from perdure.console.guard.permits import Permits
from perdure.console.log.pace import StillReading
from perdure.console.pages.parts.attention import alerts
from perdure.console.pages.parts.graphs import rates_now
from perdure.console.pages.parts.page import MARKS, Page
from perdure.console.pages.parts.page_rows import type_rows
from perdure.events.errors import InvalidMessage, PerdureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.console.console import Console, View
    from perdure.console.pages.parts.attention import Alert
    from perdure.store import PartitionOwner

__all__ = ["WholePage", "whole_overview"]

OPENING_S = 0.1
"""How long the page waits in all for partitions that are read for the first time, or for a past moment."""
ALERTS_MAX = 12
TYPES_SHOWN = 30
COUNTS = ("ready", "in_flight", "delayed", "held", "dead", "published", "completed", "failed")


@attrs.define(kw_only=True)
class Sums:
    """Counts of one partition, of one type over all, or of everything."""

    ready: int = 0
    in_flight: int = 0
    delayed: int = 0
    held: int = 0
    dead: int = 0
    published: int = 0
    completed: int = 0
    failed: int = 0
    oldest_s: float | None = None
    rates: dict[str, float] = attrs.field(factory=dict)
    """Messages a second: `published`, `completed`, `failed`; empty for the past."""

    def add(self, other: Any) -> None:
        """Add the counts of a part."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.oldest_s is not None:
            self.oldest_s = max(other.oldest_s, self.oldest_s or 0.0)

    def add_rates(self, rates: dict[str, float]) -> None:
        """Add messages a second of a part."""
        for name, rate in rates.items():
            self.rates[name] = self.rates.get(name, 0.0) + rate


@attrs.define(kw_only=True)
class PartitionRow:
    """One partition: its sums, or why there are none."""

    number: int
    sums: Sums = attrs.field(factory=Sums)
    seq: int = 0
    at_us: int = 0
    problem: str = ""
    is_coming: bool = False
    """Its log is being read, and the page is to be asked for again."""
    owner: PartitionOwner | None = None


@attrs.define(eq=False)
class WholePage(Page):
    """The page of all partitions. Its time slider stands at times: an event's number means another moment in each log."""

    consoles: Sequence[Console] = ()
    rows: list[PartitionRow] = attrs.field(factory=list)

    def _slider(self, _reading: object) -> dict[str, Any] | None:
        lives = [console.live for console in self.consoles if console.live.is_open]
        if not lives:
            return None
        newest_us = max(live.states.at_us for live in lives)
        marks = sorted({at_us for live in lives for _, at_us in live.index.marks(MARKS) if at_us < newest_us})
        times = [*marks[:: max(1, len(marks) // MARKS)], newest_us]
        shown_us = max((row.at_us for row in self.rows if row.at_us), default=newest_us)
        last = len(times) - 1
        return {
            "marks": json.dumps([[moment(at_us).replace(tzinfo=None).isoformat(), at_us // 1000] for at_us in times]),
            "last": last,
            "position": max((i for i, at_us in enumerate(times) if at_us <= shown_us), default=0) if self.at else last,
            "known": min(live.history_known() for live in lives),
            "newest": None,
            "is_past": bool(self.at),
            "seq": None,
            "at_us": shown_us,
        }


def whole_overview(page: WholePage) -> None:
    """Show the sums over all partitions.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    if page.at.replace(",", "").replace("_", "").isdecimal():
        how = "write an age (15m, 2h) or a time (2026-11-24 10:30, UTC)"
        msg = f"{page.at}: an event's number is another moment in each partition; {how}"
        raise InvalidMessage(msg)
    began_s, now_us = time.monotonic(), round(time.time() * 1e6)
    owners = {one.number: one for one in page.partitions}
    for console in page.consoles:
        console.live.begin()  # all at once; then each is looked at
    whole, sees_all = Sums(), True
    types: dict[str, Sums] = {}
    found: list[tuple[Alert, str, int]] = []
    for console in page.consoles:
        row = PartitionRow(number=console.number or 0, owner=owners.get(console.number or 0))
        page.rows.append(row)
        try:
            left_s = max(0.0, began_s + OPENING_S - time.monotonic())
            if not left_s and not console.live.is_open:
                raise console.live.opening
            with console.view(page.at, budget_s=0.0, wait_s=left_s) as view:
                part = _part(page, console, view)
                row.seq, row.at_us = view.seq, view.at_us
                for of_type in type_rows(view, view.at_us if view.is_past else now_us):
                    if part.looks(of_type.type):
                        row.sums.add(of_type)
                        types.setdefault(of_type.type, Sums()).add(of_type)
                if not part.sees_all:
                    sees_all = False
                elif not view.is_past:
                    row.sums.rates = rates_now(view, now_us)
                found += [(alert, _leads_to(page, row.number, alert), row.number) for alert in alerts(part, now_us)]
        except InvalidMessage:
            raise
        except StillReading as error:
            row.problem, row.is_coming = str(error), True
        except (PerdureError, OSError) as error:
            row.problem = str(error)
        whole.add(row.sums)
    for row in page.rows:
        if sees_all:
            whole.add_rates(row.sums.rates)
        else:
            row.sums.rates = {}  # also of a partition that has no hidden type yet: all rows say the same
    ordered = sorted(types.items(), key=lambda item: -(item[1].ready + item[1].in_flight + item[1].dead))
    page.show(
        "whole.html",
        whole=whole,
        rows=page.rows,
        unread=[row for row in page.rows if row.problem],
        is_coming=any(row.is_coming for row in page.rows),
        sees_all=sees_all,
        types=ordered[:TYPES_SHOWN],
        types_all=len(ordered),
        alerts=sorted(found, key=lambda one: one[0].level != "bad")[:ALERTS_MAX],
    )


def _part(page: WholePage, console: Console, view: View) -> Page:
    """Return the page of one partition, for what is asked of that."""
    rights = Permits(page.rights.principal, console.rights, console.front is not None)
    part = Page(console, page.request, rights)
    part.begin(view)
    return part


def _leads_to(page: Page, number: int, alert: Alert) -> str:
    if not alert.path:
        return ""
    given = {**alert.params, **({"at": page.at} if page.at else {})}
    return page.partition(number, alert.path) + (f"?{urlencode(given)}" if given else "")
