"""Messages, dead letters and acts of all partitions of a queue: a list of each, newest first, each row with its partition.

A look is bounded, in each partition as on its own page, and goes on where it ended in each; the page says how far that is. Not
here: bulk acts (`whole_bulk`).
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.counting import LETTERS, MESSAGES
from perdure.console.log.listing import PLACES
from perdure.console.log.log_search import parsed
from perdure.console.pages.dead_letters_page import expression_of, letters_of
from perdure.console.pages.messages import Listed, expression, history, waiting
from perdure.console.pages.parts.page_rows import acts_until
from perdure.console.pages.whole_queue.whole_bulk import WholeBulk, count_first, note_bulks, told
from perdure.console.pages.whole_queue.whole_page import look_at_each
from perdure.events.errors import InvalidMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.console.log.groups import Cause
    from perdure.console.pages.parts.page import Page
    from perdure.console.pages.whole_queue.whole_page import PartitionRow, WholePage
    from perdure.operations.reading.acts import OperatorAct
    from perdure.operations.reading.search import Search

__all__ = ["WholeGroup", "count_letters", "count_messages", "note_groups", "whole_acts", "whole_letters", "whole_messages"]

PAGE = 64
"""Rows of a page, shared out over the partitions; each shows four at least."""
LEAST = 4
BUDGET_S, BUDGET_LEAST_S = 0.12, 0.01
"""Time to look for them, shared out likewise."""
ACTS_SHOWN = 100
CAUSES_SHOWN = 100
NOTHING_LISTED = Listed([], 0, "")
DONE = "x"
"""Stands in an address for a partition in which all was looked at."""


@attrs.define
class Looks:
    """How far each partition was looked at: before this page, by the address, and with it, for the next one."""

    name: str
    given: dict[int, str]
    next: dict[int, str] = attrs.field(factory=dict)
    said: dict[str, list[int]] = attrs.field(factory=dict)
    """Partitions by how far they were looked at, in words."""

    @classmethod
    def of(cls, page: WholePage, name: str) -> Looks:
        """Return those of an address: one position for each partition, with points between."""
        numbers = [console.number or 0 for console in page.consoles]
        texts = page.asked(name).split(".")
        given = dict(zip(numbers, texts, strict=True)) if len(texts) == len(numbers) else {}
        return cls(name, given)

    def begin(self, number: int) -> int | None:
        """Return where to go on in a partition, 0 for its newest; None where all was looked at."""
        text = self.given.get(number, "")
        return None if text == DONE else int(text) if text.isdecimal() and len(text) < 19 else 0  # noqa: PLR2004 - of 64 bits

    def note(self, number: int, found: Listed) -> None:
        """Note how far a partition was looked at."""
        self.next[number] = str(found.following) if found.following else DONE
        self.said.setdefault(found.looked, []).append(number)

    def following(self, page: WholePage) -> str:
        """Return the address that goes on; empty where all was looked at. A partition that could not be read stays as it is."""
        numbers = [console.number or 0 for console in page.consoles]
        texts = [self.next.get(number, self.given.get(number, "")) for number in numbers]
        goes_on = any(text not in ("", DONE) for text in texts)
        return page.here(**{self.name: ".".join(texts)}) if goes_on else ""

    def told(self) -> str:
        """Return how far was looked, in words."""
        if len(self.said) == 1:
            return next(iter(self.said))
        return "; ".join(f"partition {', '.join(map(str, sorted(numbers)))}: {said}" for said, numbers in self.said.items())


def _share(page: WholePage) -> dict[str, Any]:
    """Return how much each partition may take of a page."""
    count = max(1, len(page.consoles))
    return {"most": max(LEAST, PAGE // count), "budget_s": max(BUDGET_LEAST_S, BUDGET_S / count)}


def _gathered(
    page: WholePage, name: str, look: Callable[[Page, int], Listed], also: Callable[[Page], None]
) -> tuple[list[dict[str, Any]], Looks]:
    """Look into each partition; return the rows of all, newest first, and how far that was."""
    looks, rows = Looks.of(page, name), list[dict[str, Any]]()

    def read(part: Page, row: PartitionRow) -> None:
        also(part)
        begin = looks.begin(row.number)
        if begin is None:
            looks.next[row.number] = DONE
            return
        found = look(part, begin)
        looks.note(row.number, found)
        rows.extend({**one, "partition": row.number} for one in found.rows)

    look_at_each(page, read)
    return sorted(rows, key=itemgetter("at_us"), reverse=True), looks


def count_messages(page: WholePage) -> None:
    """Count the messages that a cancel of all that are shown would end; see `whole_bulk`."""
    if not page.asked("place"):
        count_first(page, MESSAGES, expression(page.asked("type"), page.asked("q")))


def count_letters(page: WholePage) -> None:
    """Count the letters that a bulk act would change; see `whole_bulk`."""
    count_first(page, LETTERS, page.asked("where"))


def whole_messages(page: WholePage) -> None:
    """Show messages of all partitions: what waits in a place, or all, newest first; of a type, or those that a search means.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    place, kind, text = page.asked("place"), page.asked("type"), page.asked("q")
    search, problem = _search(text)
    types: set[str] = set()
    known: dict[str, WholeBulk] = {}
    is_waiting = place in PLACES

    def look(part: Page, begin: int) -> Listed:
        share = _share(page)
        if is_waiting:
            return waiting(part, search, place, kind, skip=begin, **share)
        return history(part, search, kind, before=begin, **share)

    def also(part: Page) -> None:
        types.update(filter(part.looks, part.shown.states.queue.by_type))
        note_bulks(part, part.console.number or 0, MESSAGES, known)

    rows, looks = ([], Looks("before", {})) if problem else _gathered(page, "skip" if is_waiting else "before", look, also)
    page.show(
        "whole_messages.html",
        whole=None,
        query=text,
        place=place,
        kind=kind,
        places=PLACES,
        problem=problem,
        hidden=search is not None and search.reads_payloads,
        types=sorted(types),
        where=expression(kind, text),
        bulks=told(known),
        rows=rows,
        looked=looks.told(),
        following=looks.following(page),
        **page.unread(),
    )


@attrs.define
class WholeGroup:
    """Dead letters of one cause in all partitions."""

    cause: Cause
    expression: str
    count: int = 0
    newest_us: int = 0


def note_groups(part: Page, causes: dict[Cause, WholeGroup], *, only: str = "") -> None:
    """Add the dead letters of a partition, by their causes, to those of all; of one type alone where that is named."""
    for group in part.shown.groups.biggest():
        if part.looks(group.cause.type) and only in ("", group.cause.type):
            one = causes.setdefault(group.cause, WholeGroup(group.cause, expression_of(group)))
            one.count += len(group.numbers)
            one.newest_us = max(one.newest_us, group.newest_us)


def whole_letters(page: WholePage) -> None:
    """Show dead letters of all partitions: grouped by what they died of, or those that an expression means.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    where = page.asked("where")
    search, problem = _search(where)
    causes: dict[Cause, WholeGroup] = {}
    known: dict[str, WholeBulk] = {}
    total = 0

    def look(part: Page, begin: int) -> Listed:
        return letters_of(part, search, skip=begin, **_share(page)) if search is not None else NOTHING_LISTED

    def also(part: Page) -> None:
        nonlocal total
        total += part.dead
        note_bulks(part, part.console.number or 0, LETTERS, known)
        if search is None:
            note_groups(part, causes)

    rows, looks = ([], Looks("skip", {})) if problem else _gathered(page, "skip", look, also)
    page.show(
        "whole_letters.html",
        whole=None,
        where=where,
        problem=problem,
        hidden=search is not None and search.reads_payloads,
        is_listed=search is not None,
        bulks=told(known),
        total=total,
        groups=sorted(causes.values(), key=lambda one: (-one.count, one.cause))[:CAUSES_SHOWN],
        groups_all=len(causes),
        rows=rows,
        looked=looks.told(),
        following=looks.following(page) if search is not None else "",
        **page.unread(),
    )


def whole_acts(page: WholePage) -> None:
    """Show what operators did in any partition, newest first.

    Raises:
        InvalidMessage: the moment is none, or an event's number.
    """
    action, principal, before_us = page.asked("action"), page.asked("by"), page.asked_number("before")
    known: list[tuple[int, int, OperatorAct]] = []

    def read(part: Page, row: PartitionRow) -> None:
        known.extend((round(act.at.timestamp() * 1e6), row.number, act) for act in acts_until(part))

    look_at_each(page, read)
    meant = [
        one
        for one in sorted(known, key=lambda one: (one[0], one[1], one[2].seq), reverse=True)
        if (not before_us or one[0] < before_us)
        and (not action or one[2].action == action)
        and (not principal or one[2].principal == principal)
    ]
    shown = meant[:ACTS_SHOWN]
    shown += [one for one in meant[ACTS_SHOWN:] if one[0] == shown[-1][0]]  # the next page begins before this moment
    page.show(
        "whole_acts.html",
        whole=None,
        rows=shown,
        following=page.here(before=shown[-1][0]) if len(meant) > len(shown) else "",
        actions=sorted({act.action for _, _, act in known}),
        principals=sorted({act.principal for _, _, act in known}),
        action=action,
        principal=principal,
        **page.unread(),
    )


def _search(text: str) -> tuple[Search | None, str]:
    """Return what an expression asks for, None for none, and what is wrong with it."""
    try:
        return parsed(text), ""
    except InvalidMessage as error:
        return None, str(error)
