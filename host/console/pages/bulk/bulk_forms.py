"""What a page shows of a bulk act: the form with what the owner has counted, and the acts that are under way or done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.console.counting import LETTERS, MESSAGES, as_plain
from perdure.console.pages.parts.seen import types_of
from perdure.events.errors import NotRunning
from perdure.events.queue.searching.expression import type_meant

if TYPE_CHECKING:
    from perdure.console.counting import Count
    from perdure.console.pages.parts.page import Page
    from perdure.events.structures.bulk import Bulk
    from perdure.operations.bulk.counted import Counted

__all__ = ["BULKS_SHOWN", "OF", "bulks", "count_first", "form_of", "may_be_shown", "started"]

BULKS_SHOWN = 10
VERBS = {"replay": "replayed", "edit": "edited and replayed", "purge": "removed for good", "cancel": "cancelled"}
OF = {LETTERS: ("replay", "edit", "purge"), MESSAGES: ("cancel",)}
UNNAMED = {"is_unnamed": True}
"""The count would disclose types that the principal may not look at."""


def count_first(page: Page, of: str, where: str) -> None:
    """Ask the owner how much an act that the address names would change, and keep that for the form: the act hits that alone.

    Called before the page has its view, whose locks other pages need meanwhile.

    Raises:
        StillReading: the owner counts.
        PerdureError: it could not.
    """
    verb = page.asked("do")
    if page.console.front is None or not where or page.at or verb not in OF[of] or not page.may(verb):
        return
    count = started(page, of, where)
    counted = None if count is None else count.counted()
    if count is None or counted is None or not may_be_shown(page, counted):
        page.count = UNNAMED
        return
    plain = [page.console.number, *as_plain(of, counted)]
    page.count = form_of(page, of, verb, plain, counted.by_type, counted.count, count.counted_us)


def started(page: Page, of: str, where: str) -> Count | None:
    """Return the count of what an expression selects in the log of a page, made by its owner; None: it may not be shown.

    Raises:
        StillReading: the log is being read for the first time.
        NotRunning: nothing runs on it that could count.
    """
    front = page.console.front
    if front is None:
        msg = "nothing runs on its log"
        raise NotRunning(msg)
    with page.console.live.looked_at(0.0) as states:
        are_all = all(map(page.looks, types_of(states)))
    of_type = type_meant(where)
    if not are_all and (of_type is None or not page.looks(of_type)):  # a count would disclose hidden types
        return None
    asked = front.dead_letters if of == LETTERS else front.admin
    return page.console.counts.count(page.session.secret, of, where, lambda: asked.count_where(where))


def may_be_shown(page: Page, counted: Counted) -> bool:
    """Return whether a count is of types alone that may be looked at: another one may have come meanwhile."""
    return all(map(page.looks, counted.by_type))


def form_of(
    page: Page, of: str, verb: str, plain: list[Any], by_type: dict[str, int], count: int, counted_us: int
) -> dict[str, Any]:
    """Return what the form of a bulk act shows and carries. `plain`: what was counted, as plain data."""
    return {
        "is_unnamed": False,
        "id": page.session.with_count(plain),
        "verb": verb,
        "done": VERBS[verb],
        "what": "dead letter(s)" if of == LETTERS else "message(s) that wait or run",
        "later": "what dies from now on is not meant" if of == LETTERS else "what is published from now on is not meant",
        "all": count,
        "by_type": by_type,
        "at_us": counted_us,
        "rows": [],
        "is_coming": False,
    }


def bulks(page: Page, of: str) -> list[Bulk]:
    """Return the bulk acts that are known at the moment that is shown, newest first."""
    known = reversed(page.shown.states.queue.bulks.values())
    return [bulk for bulk in known if bulk.action in OF[of] and _is_seen(page, bulk.where)][:BULKS_SHOWN]


def _is_seen(page: Page, where: str) -> bool:
    of_type = type_meant(where)
    return page.sees_all or (of_type is not None and page.looks(of_type) and not page.hides(where))
