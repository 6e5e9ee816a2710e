"""`WholePage`: a page of all partitions of a queue, and `look_at_each`, which reads them one after the other.

What cannot be read yet, or at all, is told in its row and is in no sum and no list. Not here: what the pages show
(`whole_overview`, `whole_lists`).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import attrs

from perdure.arguments.moments import moment
from perdure.console.asked import WAIT_S
from perdure.console.guard.permits import Permits
from perdure.console.log.pace import StillReading
from perdure.console.pages.parts.page import MARKS, Page
from perdure.events.errors import InvalidMessage, PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.sessions.figures import RunFigures
    from perdure.console.console import Console
    from perdure.store import PartitionOwner

__all__ = ["PartitionRow", "Sums", "WholePage", "figures_of_each", "look_at_each", "part_of"]

OPENING_S = 0.1
"""How long the page waits in all for partitions that are read for the first time, or for a past moment."""
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
    figures_by_partition: dict[int, RunFigures] = attrs.field(factory=dict)
    """What the run of each partition told of itself lately; see `figures_of_each`."""

    def may(self, action: str, type_name: str = "") -> bool:
        """Return whether the principal may do that now, in all partitions; as `Page.may`."""
        return not self.at and self.rights.may(action, type_name)

    def one(self, number: int, path: str, **params: object) -> str:
        """Return the address of a page of one partition at the moment that is shown; empty where there is no path."""
        given = {**params, "at": self.at}
        query = urlencode({name: str(value) for name, value in given.items() if value not in (None, "", 0)})
        return f"{self.partition(number, path)}{f'?{query}' if query else ''}" if path else ""

    def unread(self) -> dict[str, Any]:
        """Return what a template says of partitions that are not in what it shows."""
        return {"unread": [row for row in self.rows if row.problem], "is_coming": any(row.is_coming for row in self.rows)}

    def context(self) -> dict[str, Any]:
        """Return everything that the template needs; as `Page.context`."""
        return {"whole": None, **super().context()}

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


def look_at_each(page: WholePage, read: Callable[[Page, PartitionRow], None]) -> None:
    """Read all partitions that can be read, each within its view, and note in `page.rows` how that went.

    Args:
        page: the page of all.
        read: takes the page of one partition, and its row.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    if page.at.replace(",", "").replace("_", "").isdecimal():
        how = "write an age (15m, 2h) or a time (2026-11-24 10:30, UTC)"
        msg = f"{page.at}: an event's number is another moment in each partition; {how}"
        raise InvalidMessage(msg)
    began_s = time.monotonic()
    owners = {one.number: one for one in page.partitions}
    for console in page.consoles:
        console.live.begin()  # all at once; then each is looked at
    for console in page.consoles:
        row = PartitionRow(number=console.number or 0, owner=owners.get(console.number or 0))
        page.rows.append(row)
        try:
            left_s = max(0.0, began_s + OPENING_S - time.monotonic())
            if not left_s and not console.live.is_open:
                raise console.live.opening
            with console.view(page.at, budget_s=0.0, wait_s=left_s) as view:
                row.seq, row.at_us = view.seq, view.at_us
                part = part_of(page, console)
                part.figures = page.figures_by_partition.get(row.number)
                part.begin(view)
                read(part, row)
        except InvalidMessage:
            raise
        except StillReading as error:
            row.problem, row.is_coming = str(error), True
        except (PerdureError, OSError) as error:
            row.problem = str(error)


def part_of(page: WholePage, console: Console) -> Page:
    """Return the page of one partition, for what is asked of that; it has no view yet."""
    return Page(console, page.request, Permits(page.rights.principal, console.rights, console.front is not None))


def figures_of_each(page: WholePage) -> None:
    """Ask the run of each partition what it tells of itself, all at once, and wait a moment for the answers of all together."""
    if page.at:
        return
    for console in page.consoles:
        console.figures.newest(0.0)
    until_s = time.monotonic() + WAIT_S
    for console in page.consoles:
        figures = console.figures.newest(max(0.0, until_s - time.monotonic()))
        if figures is not None:
            page.figures_by_partition[console.number or 0] = figures
