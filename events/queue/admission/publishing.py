"""What follows from a publish: numbers, keys and their policies, bounds.

Pure. Which publishes are decided together is in `publish_groups`; what ends a message is in `outcomes`.
"""

from __future__ import annotations

from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev
from perdure.events.commands import DraftRun
from perdure.events.errors import DuplicateKey, PublishTimeout, QueueFull
from perdure.events.queue.endings import results, without_result
from perdure.events.runs import PublishedRun
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.events.commands import Draft, Publish
    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState

__all__ = ["accept", "are_unknown", "check_doubt", "check_room", "live", "publish", "unknown"]

_key_of = attrgetter("key")


def publish(state: QueueState, command: Publish, now_us: int, limits: Limits) -> list[ev.Event]:
    """Accept all drafts or none, within the bounds; a draft whose id is known adds nothing."""
    drafts = command.drafts
    if type(drafts) is DraftRun and command.fresh:
        size = drafts.size if drafts.size >= 0 else drafts.payload_bytes()
        check_room(state, len(drafts.payloads), size, limits)
        return [PublishedRun(state.next_number, drafts.type, drafts.ids, drafts.payloads, size)]
    fresh = unknown(state, drafts)
    if not fresh:
        return []
    if state.past.forgotten:
        check_doubt(state, fresh)
    check_room(state, len(fresh), sum([len(draft.payload) for draft in fresh]), limits)
    return accept(state, fresh, now_us, limits)


def unknown(state: QueueState, drafts: Iterable[Draft]) -> list[Draft]:
    """Return the drafts whose id is unknown; where an id comes twice, the first."""
    number_of = state.ids.get
    fresh = [draft for draft in drafts if not number_of(draft.id)]
    if state.past.count:
        fresh = [draft for draft in fresh if draft.id not in state.past]
    if len(fresh) > 1 and len({draft.id for draft in fresh}) < len(fresh):
        fresh = list({draft.id: draft for draft in reversed(fresh)}.values())[::-1]
    return fresh


def are_unknown(state: QueueState, run: DraftRun) -> bool:
    """Return whether all ids of plain messages are unknown, beyond doubt, and none comes twice."""
    known, past = state.ids, state.past
    if isinstance(run.ids, IdRun) and not known.may_hold(run.ids) and not past.may_hold(run.ids):
        return True
    idents = list(run.ids)
    if any(ident in known for ident in idents) or len(set(idents)) < len(idents):
        return False
    if past.count and any(ident in past for ident in idents):
        return False
    return not past.forgotten or not any(past.may_have_been(ident) for ident in idents)


def check_doubt(state: QueueState, drafts: list[Draft]) -> None:
    """Refuse ids that may have been published, completed and forgotten: older than an id of the same run that is forgotten.

    Raises:
        PublishTimeout: there are such.
    """
    doubtful = tuple(draft.id for draft in drafts if state.past.may_have_been(draft.id))
    if doubtful:
        msg = (
            f"it is not known whether message {doubtful[0]} was published before: its id is older than others that are forgotten "
            f"by now, {state.past.forgotten:,} in all. Look for it in the history (`audit.timeline`); if it is not there, publish "
            "it without its id. Raise Options.finished_max where this happens."
        )
        raise PublishTimeout(msg, doubtful)


def check_room(state: QueueState, count: int, size: int, limits: Limits) -> None:
    """Refuse messages, and bytes of their payloads, for which the backlog has no room.

    Raises:
        QueueFull: it has none.
    """
    waiting = state.waiting
    if waiting + count > limits.backlog:
        msg = (
            f"{waiting:,} messages wait, {count:,} more would pass the bound of {limits.backlog:,}. "
            "Nothing was published; try again when the handlers have caught up, or raise Options.backlog_max."
        )
        raise QueueFull(msg)
    if state.payload_bytes + size > limits.backlog_bytes:
        msg = (
            f"{state.payload_bytes:,} bytes of payload wait, {size:,} more would pass the bound of "
            f"{limits.backlog_bytes:,}. Nothing was published; try again when the handlers have caught up, or raise "
            "Options.backlog_bytes."
        )
        raise QueueFull(msg)


def accept(state: QueueState, drafts: Sequence[Draft], now_us: int, limits: Limits) -> list[ev.Event]:
    """Number the drafts; a newer message supersedes a waiting one with the same key."""
    number = state.next_number
    if not any(map(_key_of, drafts)):
        return [ev.Published(n, *draft) for n, draft in enumerate(drafts, number)]
    events: list[ev.Event] = []
    superseded: list[ev.Published] = []
    latest: dict[tuple[str, str], tuple[int, str]] = {}
    fresh: dict[int, ev.Published] = {}
    for draft in drafts:
        if draft.key is None or draft.dedup == "append":
            events.append(ev.Published(number, *draft))
        else:
            key = (draft.type, draft.key)
            waits, running = latest.get(key) or live(state, key)
            if draft.dedup == "reject" and (waits or running):
                live_id = running or _id_of(state, drafts, waits)
                msg = (
                    f"the key {draft.key!r} of {draft.type} is held by the live message {live_id}. Nothing was published; "
                    "wait for that one to end, or use another key or dedup policy."
                )
                raise DuplicateKey(msg, live_id)
            if state.held_keys:
                _check_held(state, draft, now_us)
            published = ev.Published(number, *draft)
            events.append(published)
            if waits:
                events.append(ev.Superseded(waits, by=number))
                older = state.messages[waits].published if waits < state.next_number else fresh[waits]
                if older.extras is not None:  # few messages have a result to keep
                    superseded.append(older)
            fresh[number] = published
            latest[key] = (number, running)
        number += 1
    if superseded:
        events += results(state, zip(superseded, repeat(without_result("Superseded"))), now_us, limits)
    return events


def _check_held(state: QueueState, draft: Draft, now_us: int) -> None:
    ident, until_us = state.held_keys.get((draft.type, draft.key or ""), ("", 0))
    if until_us > now_us:
        msg = (
            f"the key {draft.key!r} of {draft.type} is held for {(until_us - now_us) / 1_000_000:g} s more, since message {ident} "
            "is done. Nothing was published; wait, or use another key or dedup window."
        )
        raise DuplicateKey(msg, ident)


def live(state: QueueState, key: tuple[str, str]) -> tuple[int, str]:
    """Return the number of the message that waits under a key (or 0), and the id of the one that is out (or an empty string)."""
    holder = state.keys.get(key)
    if holder is None:
        return 0, ""
    return holder.waiting, state.messages[holder.running].published.id if holder.running else ""


def _id_of(state: QueueState, drafts: Sequence[Draft], number: int) -> str:
    if number < state.next_number:
        return state.messages[number].published.id
    return drafts[number - state.next_number].id
