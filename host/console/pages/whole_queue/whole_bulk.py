"""Bulk acts on all partitions: the form with what the owner of each has counted, and the acts that are under way or done in any.

Not here: the acts themselves (`perdure.console.whole_acts`), and those of one partition (`perdure.console.pages.bulk`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.counting import ALL, WAIT_S, as_plain
from perdure.console.log.pace import StillReading
from perdure.console.pages.bulk.bulk_forms import BULKS_SHOWN, OF, bulks, form_of, may_be_shown, started
from perdure.console.pages.whole_queue.whole_page import part_of
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from perdure.console.counting import Count
    from perdure.console.pages.parts.page import Page
    from perdure.console.pages.whole_queue.whole_page import WholePage
    from perdure.events.structures.bulk import Bulk

__all__ = ["WholeBulk", "count_first", "note_bulks", "told"]


@attrs.define
class CountRow:
    """What one partition counted, or why it did not."""

    number: int
    count: int = 0
    problem: str = ""
    is_coming: bool = False


@attrs.define
class WholeBulk:
    """A bulk act in all partitions that know it under its id."""

    parts: dict[int, Bulk] = attrs.field(factory=dict)
    rank: int = BULKS_SHOWN
    """How many are newer, in the partition with the fewest: partitions record no time."""

    @property
    def plan(self) -> Bulk:
        """What its parts have in common."""
        return next(iter(self.parts.values()))

    @property
    def is_over(self) -> bool:
        """Whether it is over wherever it has begun."""
        return all(part.is_over for part in self.parts.values())

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        """Why it was stopped, by partition."""
        return [(number, part.outcome) for number, part in sorted(self.parts.items()) if part.outcome]

    def sum(self, name: str) -> int:
        """Return the sum of a count over the partitions."""
        return sum(getattr(part, name) for part in self.parts.values())


def count_first(page: WholePage, of: str, where: str) -> None:
    """Ask the owner of each partition how much an act that the address names would change, and keep that for the form.

    What one of them cannot count is listed with its number, and no act on what the others counted will hit it.
    """
    verb = page.asked("do")
    if not where or page.at or verb not in OF[of] or not page.may(verb):
        return
    rows: list[CountRow] = []
    counts: dict[int, Count] = {}
    for console in page.consoles:
        row = CountRow(console.number or 0)
        rows.append(row)
        try:
            begun = started(part_of(page, console), of, where)
        except StillReading:
            row.problem, row.is_coming = "its log is being read", True
        except PerdureError as error:
            row.problem = str(error)
        else:
            if begun is None:
                page.count = {"is_unnamed": True}
                return
            counts[row.number] = begun
    counted: dict[int, Any] = {}
    until_s = time.monotonic() + WAIT_S
    for row in rows:
        if row.number not in counts:
            continue
        try:
            counted[row.number] = one = counts[row.number].counted(max(0.0, until_s - time.monotonic()))
        except StillReading:
            row.problem, row.is_coming = "it is being counted", True
        except PerdureError as error:
            row.problem = str(error)
        else:
            row.count = one.count
    if not all(may_be_shown(page, one) for one in counted.values()):
        page.count = {"is_unnamed": True}
        return
    by_type: dict[str, int] = {}
    for one in counted.values():
        for kind, count in one.by_type.items():
            by_type[kind] = by_type.get(kind, 0) + count
    plain = [ALL, of, [[number, *as_plain(of, one)] for number, one in counted.items()]]
    at_us = min((counts[number].counted_us for number in counted), default=0)
    page.count = {
        **form_of(page, of, verb, plain, by_type, sum(row.count for row in rows), at_us),
        "rows": rows,
        "is_coming": any(row.is_coming for row in rows),
    }


def note_bulks(part: Page, number: int, of: str, known: dict[str, WholeBulk]) -> None:
    """Add the bulk acts that a partition knows to those of all, by their ids."""
    for rank, bulk in enumerate(bulks(part, of)):
        one = known.setdefault(bulk.bulk, WholeBulk())
        one.parts[number], one.rank = bulk, min(rank, one.rank)


def told(known: dict[str, WholeBulk]) -> list[WholeBulk]:
    """Return bulk acts as a page tells them: those under way first, then the newest of each partition."""
    return sorted(known.values(), key=lambda one: (one.is_over, one.rank))[:BULKS_SHOWN]
