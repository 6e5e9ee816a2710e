"""Dead letters: grouped by what they died of, or those that an expression selects; with bulk acts, which are counted first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from perdure.console.counting import LETTERS
from perdure.console.log.walk import Budget
from perdure.console.pages.bulk import bulk_forms
from perdure.console.pages.bulk.bulk_forms import bulks
from perdure.console.pages.messages import Listed
from perdure.console.pages.parts.texts import quoted
from perdure.events.errors import InvalidMessage
from perdure.events.public_names import with_public_names
from perdure.events.queue.dead_letters import full_reason
from perdure.events.queue.searching.expression import search_of
from perdure.payloads.codecs import MessagePack

if TYPE_CHECKING:
    from perdure.console.log.groups import Group
    from perdure.console.pages.parts.page import Page
    from perdure.events.queue.dead_letters import Letter
    from perdure.events.queue.searching.expression import Search

__all__ = ["count_first", "dead_letters", "expression_of", "letters_of", "row_of_letter"]

PAGE = 50
LOOKED_MAX = 20_000
BUDGET_S = 0.08
GROUPS_SHOWN = 100
WORD_CHARS_MIN = 3
WORDS_MAX = 6


def count_first(page: Page) -> None:
    """Count the letters that a bulk act would change; see `bulk_forms`."""
    bulk_forms.count_first(page, LETTERS, page.asked("where"))


def dead_letters(page: Page) -> None:
    """Show dead letters."""
    view, where = page.shown, page.asked("where")
    try:
        search, problem = (search_of(where) if where else None), ""
    except InvalidMessage as error:
        search, problem = None, str(error)
    more: dict[str, Any] = {"groups": [], "groups_all": 0, "rows": None}
    if search is not None:
        found = letters_of(page, search, skip=page.asked_number("skip"))
        following = page.here(skip=found.following) if found.following else ""
        more |= {"rows": found.rows, "following": following, "looked": found.looked}
    elif not problem:
        biggest = [group for group in view.groups.biggest() if page.looks(group.cause.type)]
        more |= {
            "groups": [(group, expression_of(group)) for group in biggest[:GROUPS_SHOWN]],
            "groups_all": len(biggest),
        }
    page.show(
        "dead_letters.html",
        total=page.dead,
        where=where,
        problem=problem,
        hidden=search is not None and search.reads_payloads,
        bulks=bulks(page, LETTERS),
        **more,
    )


def expression_of(group: Group) -> str:
    """Return the expression that selects the letters of a group: their type, and what their errors have in common."""
    cause = group.cause
    error = f"{cause.exception}: {cause.message}" if cause.exception else cause.message
    words = [f"type={quoted(cause.type)}"]
    chunks = [chunk.strip() for chunk in error.split("#") if len(chunk.strip()) >= WORD_CHARS_MIN]
    return " ".join([*words, *(f"error~{quoted(chunk)}" for chunk in chunks[:WORDS_MAX])])


def letters_of(page: Page, search: Search, *, skip: int, most: int = PAGE, budget_s: float | None = None) -> Listed:
    """Return letters that a search selects, newest first, behind the first `skip`."""
    rows, following, looked = _letters(page, search, skip, most, Budget(BUDGET_S if budget_s is None else budget_s))
    if page.sees_all:
        looked_at = f"{looked:,} of {len(page.shown.states.dead_letters.letters):,} looked at, newest first"
    else:  # the number of letters of hidden types is not shown
        looked_at = "not all are looked at yet, newest first" if following else "all are looked at, newest first"
    return Listed([row_of_letter(letter) for letter in rows], following, looked_at)


def _letters(page: Page, search: Search, skip: int, most: int, budget: Budget) -> tuple[list[Letter], int, int]:
    """Return letters, newest first; where to go on (0: nowhere), and how many were looked at."""
    letters = page.shown.states.dead_letters.letters
    codec = MessagePack()
    found: list[Letter] = []
    looked = skip
    for letter in islice(reversed(letters.values()), skip, skip + LOOKED_MAX):
        looked += 1
        published = letter.event.published
        is_shown = page.looks(published.type) and (not search.reads_payloads or page.sees(published))
        if is_shown and search.means(letter.event, lambda body: codec.decode(body, None)):
            found.append(letter)
        if len(found) >= most or (not looked % 256 and budget.is_over):
            return found, looked, looked
    return found, (looked if looked - skip >= LOOKED_MAX else 0), looked


def row_of_letter(letter: Letter) -> dict[str, Any]:
    """Return one line of a list of dead letters."""
    event = letter.event
    return {
        "id": event.published.id,
        "type": event.published.type,
        "key": event.published.key,
        "at_us": letter.failed_us,
        "attempts": event.attempts,
        "reason": with_public_names(full_reason(event)),
    }
