"""Bulk acts: an operator replays, edits or purges the dead letters, or cancels the messages, that an expression selects.

Pure. They are done in bounded commits. The plan is on record, so the act goes on after a crash; what it means is searched in
`dead_letters` and `live_messages`; how a letter returns is in `replay_and_purge`. The actor that asks for commit after commit is
`actors/services/bulk_runner`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.acts import TEXT_MAX, Act, on_messages
from perdure.events.commands import AdvanceBulk, Death, ReplayItem
from perdure.events.commit_size import COMMIT_BYTES_MAX
from perdure.events.errors import InvalidMessage, PerdureError
from perdure.events.queue import replay_and_purge
from perdure.events.queue.dead_letters import death, letter_bytes, replay_item
from perdure.events.queue.endings import results, without_result
from perdure.events.queue.searching.expression import search_of
from perdure.events.queue.searching.live_messages import live_search_of
from perdure.events.queue.searching.plain_payloads import edited

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.events.commands import BeginBulk, EndBulk
    from perdure.events.limits import Limits
    from perdure.events.queue.searching.letter_search import Portion
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.bulk import Bulk

__all__ = ["ACTIONS", "DEPTH_MAX", "OPEN_MAX", "TOO_DEEP", "advance", "begin", "end", "is_deeper", "next_commit"]

Events: TypeAlias = list[ev.Event]

ACTIONS = ("replay", "edit", "purge", "cancel")
OPEN_MAX = 16
"""How many bulk acts may be under way at a time."""
CHANGES_MAX = 64
LETTER_BYTES_MAX = COMMIT_BYTES_MAX - (1 << 20)
"""A larger letter is not edited: its commit has the act beside it."""
DEPTH_MAX = 100
"""How deep lists and dicts may be nested in a value that an edit sets: recursive code writes, measures and reads recorded values,
in threads with stacks of different sizes."""
TOO_DEEP = f"changes: a value has at most {DEPTH_MAX} lists and dicts inside one another; keep what is deeper as JSON text"


def begin(state: QueueState, command: BeginBulk, _now_us: int, _limits: Limits) -> Events:
    """Put the plan on record, unless the command is sent again. An act on nothing is over at once.

    Raises:
        InvalidMessage: the expression, or what an edit sets, cannot be read.
        PerdureError: too many are under way.
    """
    if command.bulk in state.bulks:
        return []
    act = command.act
    if act is None or command.action not in ACTIONS or len(command.where) > TEXT_MAX or len(command.changes) > CHANGES_MAX:
        msg = f"a bulk act is one of {', '.join(ACTIONS)} by a principal, on an expression of {TEXT_MAX:,} characters at most"
        raise InvalidMessage(msg)
    if bool(command.changes) != (command.action == "edit"):
        msg = "an edit sets something, for example customer.id=7; other bulk acts set nothing"
        raise InvalidMessage(msg)
    if is_deeper(command.changes, DEPTH_MAX + 1):  # a peer's need not have been checked
        raise InvalidMessage(TOO_DEEP)
    (live_search_of if command.action == "cancel" else search_of)(command.where)
    if sum(not bulk.is_over for bulk in state.bulks.values()) >= OPEN_MAX:
        msg = f"{OPEN_MAX} bulk acts are under way, which is the most; `dead_letters.bulks()` shows them. Wait until one has ended"
        raise PerdureError(msg)
    plan = (command.where, command.seq, command.count, command.reset_retries, command.changes)
    begun: Events = [ev.BulkBegun(command.bulk, command.action, *plan, act.principal, act.origin, act.reason)]
    if command.count:
        return begun
    nothing = Act(command.action, command.where, act.principal, act.origin, act.reason)
    return [*begun, on_messages(nothing, 0), ev.BulkEnded(command.bulk, "")]


def is_deeper(value: object, most: int) -> bool:
    """Return whether lists and dicts are nested in a value deeper than `most`. It is not recursive, so any depth will do."""
    level = [value]
    for _ in range(most):
        level = [inner for outer in level if isinstance(outer, (dict, list, tuple)) for inner in _parts(outer)]
        if not level:
            return False
    return any(isinstance(one, (dict, list, tuple)) for one in level)


def _parts(outer: dict[object, object] | list[object] | tuple[object, ...]) -> Iterable[object]:
    return outer.values() if isinstance(outer, dict) else outer


def advance(state: QueueState, command: AdvanceBulk, now_us: int, limits: Limits) -> Events:
    """Act on these letters or messages, and record how far the act has come.

    A letter that cannot return is passed over, and one that is gone is ignored.
    """
    bulk = state.bulks.get(command.bulk)
    if bulk is None or bulk.is_over or command.upto <= bulk.upto:
        return []  # sent again
    done: Events = [ev.Purged(death.number, "purged by an operator") for death in command.deaths if _is_there(state, death)]
    passed_over = command.passed_over
    keys: set[tuple[str, str]] = set()
    for item in command.items:
        if not _is_there(state, item.death):
            continue
        if replay_and_purge.held_by(state, item.published, keys):
            passed_over += 1
        else:
            done.append(replay_and_purge.replayed(state, item))
    count = len(done)
    cancelled = [message.published for number in command.cancels if (message := state.look(number)) is not None]
    if cancelled:
        reason = bulk.reason or "cancelled by an operator"
        done += [ev.Cancelled(published.number, reason) for published in cancelled]
        count += len(cancelled)
        done += results(state, [(published, without_result("Cancelled")) for published in cancelled], now_us, limits)
    act = Act(bulk.action, bulk.where, bulk.principal, bulk.origin, bulk.reason)
    return [*done, on_messages(act, count), ev.BulkAdvanced(bulk.bulk, command.upto, count, passed_over)]


def end(state: QueueState, command: EndBulk, _now_us: int, _limits: Limits) -> Events:
    """Record that a bulk act is over."""
    bulk = state.bulks.get(command.bulk)
    return [] if bulk is None or bulk.is_over else [ev.BulkEnded(command.bulk, command.outcome)]


def _is_there(state: QueueState, death: Death) -> bool:
    dead = state.dead.get(death.number)
    return dead is not None and dead.death == death


def next_commit(bulk: Bulk, portion: Portion, bytes_max: int) -> AdvanceBulk:
    """Return the command that acts on the first letters of a portion, in one commit.

    An edit can write more than was there: it takes as many letters as make so many bytes, or one. A letter that it would make
    larger than any commit is passed over.
    """
    if bulk.action == "purge":
        deaths: list[Death] = [death(letter.event) for letter in portion.letters]
        return AdvanceBulk(bulk.bulk, portion.upto, [], deaths)
    items: list[ReplayItem] = []
    passed_over = size = 0
    upto = bulk.upto
    for letter in portion.letters:
        item = replay_item(letter, reset_retries=bulk.reset_retries)
        if bulk.action == "edit":
            payload = edited(item.published.payload, bulk.changes)
            more = 0 if payload is None else letter_bytes(letter.event) - len(item.published.payload) + len(payload)
            if payload is None or more > LETTER_BYTES_MAX:
                passed_over, upto = passed_over + 1, letter.seq
                continue
            if items and size + more > bytes_max:
                return AdvanceBulk(bulk.bulk, upto, items, [], passed_over)
            published = ev.evolved(item.published, payload=payload)
            item, size = item._replace(published=published, edited=True), size + more
        items.append(item)
        upto = letter.seq
    return AdvanceBulk(bulk.bulk, portion.upto, items, [], passed_over)
