"""What a page shows of a bulk act: the form with what the owner has counted, and the acts that are under way or done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.console.counting import LETTERS, MESSAGES, as_plain
from perdure.console.pages.parts.seen import means_type, types_of

if TYPE_CHECKING:
    from perdure.console.pages.parts.page import Page

__all__ = ["bulks", "count_first"]

BULKS_SHOWN = 10
VERBS = {"replay": "replayed", "edit": "edited and replayed", "purge": "removed for good", "cancel": "cancelled"}
OF = {LETTERS: ("replay", "edit", "purge"), MESSAGES: ("cancel",)}


def count_first(page: Page, of: str, where: str) -> None:
    """Ask the owner how much an act that the address names would change, and keep that for the form: the act hits that alone.

    Called before the page has its view, whose locks other pages need meanwhile.

    Raises:
        StillReading: the owner counts.
        PerdureError: it could not.
    """
    verb, front = page.asked("do"), page.console.front
    if front is None or not where or page.at or verb not in OF[of] or not page.may(verb):
        return
    with page.console.live.looked_at(0.0) as states:
        are_all = all(map(page.looks, types_of(states)))
    of_type = means_type(where)
    if not are_all and (of_type is None or not page.looks(of_type)):  # a count would tell of what may not be looked at
        page.count = {"is_unnamed": True}
        return
    asked = front.dead_letters if of == LETTERS else front.admin
    count = page.console.counts.count(page.session.secret, of, where, lambda: asked.count_where(where))
    counted = count.counted()
    if not all(map(page.looks, counted.by_type)):  # of a type that has come meanwhile
        page.count = {"is_unnamed": True}
        return
    page.count = {
        "is_unnamed": False,
        "id": page.session.with_count([page.console.number, *as_plain(of, counted)]),
        "verb": verb,
        "done": VERBS[verb],
        "what": "dead letter(s)" if of == LETTERS else "message(s) that wait or run",
        "later": "what dies from now on is not meant" if of == LETTERS else "what is published from now on is not meant",
        "all": counted.count,
        "by_type": counted.by_type,
        "at_us": count.counted_us,
    }


def bulks(page: Page, of: str) -> list[Any]:
    """Return the bulk acts that are known at the moment that is shown, newest first."""
    known = reversed(page.shown.states.queue.bulks.values())
    return [bulk for bulk in known if bulk.action in OF[of] and _is_seen(page, bulk.where)][:BULKS_SHOWN]


def _is_seen(page: Page, where: str) -> bool:
    of_type = means_type(where)
    return page.sees_all or (of_type is not None and page.looks(of_type) and not page.hides(where))
