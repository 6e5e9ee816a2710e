"""Dead letters: grouped by what they died of, or those of one group or filter; with bulk acts, which are counted first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from perdure.events.public_names import with_public_names
from perdure.events.queue.dead_letters import full_reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.console.log.groups import Group
    from perdure.console.pages.page import Page
    from perdure.events.queue.dead_letters import Letter

__all__ = ["dead_letters"]

PAGE = 50
LOOKED_MAX = 20_000
GROUPS_SHOWN = 100


def dead_letters(page: Page) -> None:
    """Show dead letters."""
    view = page.shown
    kind, text, key = page.asked("type"), page.asked("match"), page.asked("cause")
    group = view.groups.find(key) if key else None
    common: dict[str, Any] = {
        "total": len(view.states.dead_letters.letters),
        "types": sorted(view.groups.by_type.items()),
        "kind": kind,
        "match": text,
        "cause": key,
        "group": group,
        "verb": page.asked("do") if page.asked("do") in ("replay", "purge") else "",
        "id_word": page.asked("words"),
    }
    if not (kind or text or key):
        biggest = view.groups.biggest()
        page.show("dead_letters.html", groups=biggest[:GROUPS_SHOWN], groups_all=len(biggest), rows=None, **common)
        return
    rows, following, looked = _letters(page, group, kind, text)
    if common["verb"] and page.console.front is not None and not view.is_past:
        common["count"] = _count(page, group, kind, text)
    page.show(
        "dead_letters.html",
        groups=[],
        groups_all=0,
        rows=[_row(letter) for letter in rows],
        following=page.here(skip=following) if following else "",
        looked=looked,
        filter_type=group.cause.type if group is not None else kind,
        filter_match=_match_of(group) if group is not None else text,
        **common,
    )


def _letters(page: Page, group: Group | None, kind: str, text: str) -> tuple[list[Letter], int, int]:
    """Return one page of letters, newest first; where the next goes on (0: nowhere), and how many were looked at."""
    letters = page.shown.states.dead_letters.letters
    skip = page.asked_number("skip")
    numbers: Iterable[int] = reversed(letters) if group is None else reversed(group.numbers)
    found: list[Letter] = []
    looked = skip
    for number in islice(numbers, skip, skip + LOOKED_MAX):
        looked += 1
        letter = letters.get(number)
        if letter is not None and _is_meant(letter, kind, text):
            found.append(letter)
            if len(found) >= PAGE:
                return found, looked, looked
    return found, (looked if looked - skip >= LOOKED_MAX else 0), looked


def _is_meant(letter: Letter, kind: str, text: str) -> bool:
    event = letter.event
    if kind and event.published.type != kind:
        return False
    if not text:
        return True
    wanted = text.casefold()
    recorded = f"{full_reason(event)}\n{event.exception}\n{event.message}"
    return wanted in recorded.casefold() or wanted in with_public_names(recorded).casefold()


def _match_of(group: Group) -> str:
    """Return the text that finds the letters of a group: what their messages have in common before a number differs."""
    cause = group.cause
    return max(cause.message.split("#"), key=len).strip() or cause.exception


def _count(page: Page, group: Group | None, kind: str, text: str) -> int | None:
    """Return how many letters the act would change: the same question that it asks, of the owner."""
    front = page.console.front
    if front is None:
        return None
    named, match = (group.cause.type, _match_of(group)) if group is not None else (kind, text)
    return front.dead_letters.replay_all(type=named or None, reason=match or None, dry_run=True)


def _row(letter: Letter) -> dict[str, Any]:
    event = letter.event
    return {
        "id": event.published.id,
        "type": event.published.type,
        "key": event.published.key,
        "at_us": letter.failed_us,
        "attempts": event.attempts,
        "reason": with_public_names(full_reason(event)),
    }
