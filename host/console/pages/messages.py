"""The list of messages: what waits, runs, is held or delayed; or all, newest first. Filters and search are in the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.counting import MESSAGES
from perdure.console.log.listing import ORDERED, PLACES, SKIPPED_MAX, by_place
from perdure.console.log.log_search import look_back, parsed
from perdure.console.log.walk import Budget
from perdure.console.pages.bulk import bulk_forms
from perdure.console.pages.bulk.bulk_forms import bulks
from perdure.console.pages.parts.texts import quoted
from perdure.events.errors import InvalidMessage
from perdure.events.queue.lookup import look_up
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.console.pages.parts.page import Page
    from perdure.events import vocabulary as ev
    from perdure.operations.reading.search import Search

__all__ = ["Listed", "count_first", "expression", "history", "messages", "row_of", "waiting"]

PAGE = 50
BUDGET_S = 0.07


def count_first(page: Page) -> None:
    """Count the messages that a cancel of all that are shown would end; see `bulk_forms`."""
    if not page.asked("place"):
        bulk_forms.count_first(page, MESSAGES, expression(page.asked("type"), page.asked("q")))


def expression(kind: str, text: str) -> str:
    """Return the expression that selects what the filters of the page select; empty for all."""
    return " ".join(word for word in (f"type={quoted(kind)}" if kind else "", text) if word)


def messages(page: Page) -> None:
    """Show messages."""
    view, place, kind = page.shown, page.asked("place"), page.asked("type")
    text = page.asked("q")
    try:
        search, problem = parsed(text), ""
    except InvalidMessage as error:
        search, problem = None, str(error)
    more: dict[str, Any]
    if problem:
        more = {"rows": [], "following": "", "looked": ""}
    elif place in PLACES:
        found = waiting(page, search, place, kind, skip=page.asked_number("skip"))
        more = {"rows": found.rows, "following": page.here(skip=found.following) if found.following else "", "looked": found.looked}
    else:
        found = history(page, search, kind, before=page.asked_number("before"))
        more = {
            "rows": found.rows,
            "following": page.here(before=found.following) if found.following else "",
            "looked": found.looked,
        }
    page.show(
        "messages.html",
        query=text,
        place=place,
        kind=kind,
        places=PLACES,
        problem=problem,
        hidden=search is not None and search.reads_payloads,
        types=sorted(filter(page.looks, view.states.queue.by_type)),
        where=expression(kind, text),
        bulks=bulks(page, MESSAGES),
        **more,
    )


def _takes(page: Page, search: Search | None, published: ev.Published) -> bool:
    """Return whether a message may be found: a search in a hidden payload must not disclose it."""
    return page.looks(published.type) and (search is None or not search.reads_payloads or page.sees(published))


@attrs.frozen
class Listed:
    """A part of a list: its rows, where to go on (0: nowhere), and how far was looked, in words."""

    rows: list[dict[str, Any]]
    following: int
    looked: str


def waiting(
    page: Page, search: Search | None, place: str, kind: str, *, skip: int, most: int = PAGE, budget_s: float | None = None
) -> Listed:
    """Return messages that wait or run in a place, behind the first `skip`."""
    from perdure.payloads.codecs import MessagePack  # noqa: PLC0415 - for searches alone

    codec = MessagePack()

    def wanted(published: ev.Published) -> bool:
        if not _takes(page, search, published):
            return False
        return search is None or (not search.of_events and search.takes(published, lambda body: codec.decode(body, None)))

    found, following = by_place(
        page.shown.states.queue,
        place,
        Budget(BUDGET_S if budget_s is None else budget_s),
        type_name=kind,
        skip=skip,
        most=most,
        wanted=lambda message: wanted(message.published),
    )
    rows = [row_of(page, message.published, 0, made_us(message.published.id)) for message in found]
    return Listed(rows, following, "; ".join(_notes(place, skip if page.sees_all else 0)))


def _notes(place: str, skip: int) -> Iterator[str]:
    """Yield notes on the order and the extent of the list."""
    yield "in no order" if place == "held" else "in the order in which they are handled"
    if skip:
        yield f"{skip:,} before these"
    if place in ORDERED:
        yield f"the first {SKIPPED_MAX:,} are listed"


def history(
    page: Page, search: Search | None, kind: str, *, before: int, most: int = PAGE, budget_s: float | None = None
) -> Listed:
    """Return messages, newest first, of those before an event; 0: of all up to the moment that is shown."""
    view = page.shown
    before = before or view.seq + 1
    found = look_back(
        view.reader,
        view.states,
        search,
        Budget(BUDGET_S if budget_s is None else budget_s),
        before=min(before, view.seq + 1),
        most=most,
        wanted=lambda published: (not kind or published.type == kind) and _takes(page, search, published),
    )
    begin = view.reader.first_seq
    if not found.before:
        looked = "looked back to the beginning" if begin <= 1 else f"looked back to event {begin:,}, where the log begins"
    else:
        looked = f"looked back to event {found.before:,} of {view.seq:,}"
    return Listed([row_of(page, hit.published, hit.seq, hit.at_us) for hit in found.hits], found.before, looked)


def row_of(page: Page, published: ev.Published, seq: int, at_us: int) -> dict[str, Any]:
    """Return one line of a list of messages."""
    standing = look_up(page.shown.states.queue, published.id)
    return {
        "id": published.id,
        "type": published.type,
        "key": published.key,
        "group": published.group,
        "seq": seq,
        "at_us": at_us,
        "status": "in flight" if standing.status == "leased" else standing.status if standing.status != "unknown" else "ended",
        "attempts": standing.attempts,
    }
