"""One message: where it is, its timeline, what caused it and what it caused, its attempts, its payload, and what can be done."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from perdure.console.drawing.gantt import gantt
from perdure.console.log.story import story_of
from perdure.console.log.walk import Budget
from perdure.console.pages.parts.page_rows import acts_until
from perdure.console.pages.parts.texts import moment, payload_text
from perdure.events import vocabulary as ev
from perdure.events.errors import UnknownMessage
from perdure.events.queue.lookup import look_up
from perdure.operations.reading.attempt_counts import AttemptCounts
from perdure.operations.reading.explanation import explain

if TYPE_CHECKING:
    from perdure.console.log.story import Kin
    from perdure.console.pages.parts.page import Page
    from perdure.operations.reading.record import Record

__all__ = ["message"]

BUDGET_S = 0.08
DETAILS = (
    "attempt",
    "reason",
    "exception",
    "message",
    "percent",
    "note",
    "holder",
    "priority",
    "due_us",
    "until_us",
    "by",
    "edited",
)
ACTS_SHOWN = 20
"""Of operators on the message alone; those on many name an expression."""
LIVE = ("ready", "delayed", "held", "leased")


def message(page: Page) -> None:
    """Show one message.

    Raises:
        UnknownMessage: it was not found, as far as was looked.
    """
    view, ident = page.shown, page.request.path_params["id"]
    standing = look_up(view.states.queue, ident)
    story = story_of(
        view.reader, view.index, view.states, ident, Budget(BUDGET_S), until=view.seq, read_from=page.asked_number("from")
    )
    if story is None or not page.looks(story.own.published.type):  # one that may not be looked at is as one that is not there
        is_known = standing.status != "unknown" and (page.looks(standing.type) if standing.type else page.sees_all)
        known = "; its id is known, and its publication lies before what the log keeps" if story is None and is_known else ""
        msg = f"no message {ident!r} was found as far as this page looked ({view.history_progress}){known}"
        raise UnknownMessage(msg)
    own = story.own
    story.children = [kin for kin in story.children if page.looks(kin.published.type)]
    story.ancestors = [kin for kin in story.ancestors if page.looks(kin.published.type)]
    now_us = view.at_us if view.is_past else round(time.time() * 1e6)
    letter = view.states.dead_letters.letters.get(own.published.number)
    shown, is_json = payload_text(_newest_payload(own, letter)) if page.sees(own.published) else ("", False)
    records = sorted((record for kin in story.family for record in kin.records), key=lambda record: record.seq)
    counts = AttemptCounts(records)
    page.show(
        "message.html",
        ident=ident,
        published=own.published,
        published_seq=own.seq,
        status="in flight" if standing.status == "leased" else standing.status,
        is_live=standing.status in LIVE,
        letter=None if letter is None else letter.event,
        group=None if letter is None else view.groups.of_letter(letter),
        explanation=explain(view.states, records, ident, None if page.sees_all else page.looks) if own.records else "",
        gantt=gantt(story, now_us),
        story=story,
        following="" if story.whole else page.here(**{"from": story.read_to}),
        events=[_event_row(record, counts) for record in records],
        attempts=_attempts(own, letter, counts),
        payload=shown,
        payload_is_json=is_json,
        payload_bytes=len(own.published.payload),
        sees=page.sees(own.published),
        is_edited=any(isinstance(record.event, ev.Replayed) and record.event.edited for record in own.records),
        acts=list(islice((act for act in acts_until(page) if act.subject == ident), ACTS_SHOWN)),
    )


def _newest_payload(own: Kin, letter: Any) -> bytes:
    """Return the payload as it is now: an operator may have edited it."""
    if letter is not None:
        return bytes(letter.event.published.payload)
    edited = [record.event for record in own.records if isinstance(record.event, ev.Replayed)]
    return edited[-1].published.payload if edited else own.published.payload


def _event_row(record: Record, counts: AttemptCounts) -> dict[str, Any]:
    event = record.event
    named = ((name, counts.of(record) if name == "attempt" else getattr(event, name, None)) for name in DETAILS)
    details = [(name, value) for name, value in named if value not in (None, "", 0, False)]
    return {
        "seq": record.seq,
        "at": record.at,
        "name": record.name,
        "id": record.message_id,
        "details": [(name.removesuffix("_us"), moment(value) if name.endswith("_us") else value) for name, value in details],
    }


def _attempts(own: Kin, letter: Any, counts: AttemptCounts) -> list[dict[str, Any]]:
    """Return each failed attempt with its traceback, newest first."""
    found = [
        {
            "attempt": counts.of(record),
            "at": record.at,
            "exception": getattr(event, "exception", "") or "lost",
            "message": getattr(event, "message", "") or getattr(event, "reason", ""),
            "traceback": getattr(event, "traceback", ""),
        }
        for record in own.records
        if isinstance(event := record.event, ev.AttemptFailed | ev.LeaseExpired)
    ]
    if letter is not None and not found:
        event = letter.event
        found = [
            {
                "attempt": event.attempts,
                "at": letter.failed_us,
                "exception": event.exception,
                "message": event.message,
                "traceback": event.traceback,
            }
        ]
    return found[::-1]
