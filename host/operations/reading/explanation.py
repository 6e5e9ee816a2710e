"""Where a message is, what it waits for, since when, and what comes next: in words, from a folded state and the message's records.

Pure. Not here: what decides it, which are the rules in `perdure.events.queue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.moments import moment
from perdure.events import vocabulary as ev
from perdure.events.public_names import with_public_names
from perdure.events.queue.dead_letters import full_reason
from perdure.events.queue.lookup import look_up
from perdure.events.queue.state import is_quarantined
from perdure.events.structures.message import Status
from perdure.operations.reading.stuck_groups import members_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.events.codec.snapshot import States
    from perdure.events.structures.message import Message
    from perdure.operations.reading.record import Record

__all__ = ["explain"]

ERROR_CHARS = 200
ENDS = {
    "completed": "was handled",
    "cancelled": "was cancelled",
    "expired": "expired: its time to live ended before it was handled",
    "superseded": "was replaced by a newer message of its key",
    "purged": "was a dead letter, and was purged",
    "ended": "has ended",
}


def explain(states: States, records: Sequence[Record], ident: str, looks: Callable[[str], bool] | None = None) -> str:
    """Return one paragraph about a message.

    Args:
        states: what the log says up to a moment; the paragraph is about that moment.
        records: the records of the message up to then, oldest first; at least its publication.
        ident: its id.
        looks: returns whether a type may be looked at, where some may not: of others no id is named, and none is counted.
    """
    own = [record for record in records if record.message_id == ident]
    published = next((r.event for r in reversed(own) if isinstance(r.event, ev.Published)), None)
    name = f"{published.type if published is not None else 'The'} message {ident}"
    sentences = [f"{name} was published {_time(own[0])}."] if own else []
    found = look_up(states.queue, ident)
    if found.message is None:
        return " ".join([*sentences, *_ended(found.status, own, states)])
    message = found.message
    if message.failures:
        last = message.failures[-1]
        error = f"{with_public_names(last.exception)}: {last.message}"[:ERROR_CHARS]
        sentences.append(f"Of its attempts {len(message.failures)} failed, the last {_when(last.at_us)} with {error}.")
    match message.status:
        case Status.LEASED:
            sentences += _leased(message, own)
        case Status.DELAYED:
            then = "its next attempt is due" if message.failures else "it may be handled"
            sentences.append(f"It waits until {_when(message.due_us).removeprefix('at ')}, when {then}.")
        case Status.HELD:
            sentences += _held(states, message, looks)
        case _:
            sentences += _ready(states, message)
    sentences += _holds_up(states, message, looks)
    if message.published.expires_us:
        sentences.append(f"It expires {_when(message.published.expires_us)} if no handler has begun by then.")
    return " ".join(sentences)


def _ended(status: str, own: Sequence[Record], states: States) -> list[str]:
    last = own[-1] if own else None
    when = f" {_time(last)}" if last is not None else ""
    letter = states.dead_letters.letters.get(getattr(last.event, "number", 0)) if last is not None else None
    if status == "dead" and letter is not None:
        error = f"{with_public_names(letter.event.exception)}: {letter.event.message}"[:ERROR_CHARS]
        reason = with_public_names(full_reason(letter.event))
        last_error = "" if reason.endswith(error) else f"The last error: {error}. "
        return [
            f"It became a dead letter{when}, after {letter.event.attempts} attempt(s): {reason}.",
            f"{last_error}Its record has the traceback; replay, edit or purge it.",
        ]
    if status == "unknown":
        return [f"It has ended{when}, and how is not remembered; its timeline shows it."]
    return [f"It {ENDS.get(status, 'has ended')}{when}."]


def _leased(message: Message, own: Sequence[Record]) -> list[str]:
    lease = message.lease
    began = next((r for r in reversed(own) if isinstance(r.event, ev.Leased)), None)
    since = f" since {_time(began).removeprefix('at ')}" if began is not None else ""
    attempt = (lease.attempt if lease is not None else message.attempts) - message.forgiven
    holder = "a consumer that checked it out" if lease is not None and lease.holder else "a worker of its handler"
    sentences = [f"Attempt {attempt} is out with {holder}{since}."]
    if message.percent is not None:
        sentences.append(f"It last reported {message.percent:g} %{f' ({message.note})' if message.note else ''}.")
    if message.until_us:
        sentences.append(f"Its lease ends {_when(message.until_us)}; unless it is renewed, the message is then tried again.")
    else:
        sentences.append("Its lease has no end: it is tried again only if its process dies.")
    return sentences


def _holds_up(states: States, message: Message, looks: Callable[[str], bool] | None) -> list[str]:
    """Return how many messages of its group wait for this one, where it is the first of several."""
    name = message.published.group
    group = None if name is None else states.queue.groups.get(name)
    if name is None or group is None or len(group) <= 1 or group.head != message.number:
        return []
    waiting = members_behind(states.queue, group, looks)
    if not waiting:
        return []
    return [f"{waiting:,} message(s) of its group {name!r} wait for it: they are handled in order, once it has ended."]


def _held(states: States, message: Message, looks: Callable[[str], bool] | None) -> list[str]:
    published, queue = message.published, states.queue
    if published.group is not None and queue.groups[published.group].head != message.number:
        first = queue.look(queue.groups[published.group].head)
        return [f"It is held by its group {published.group!r}, which is handled in order: {_named(first, looks)} comes before it."]
    running = 0
    if published.key is not None and published.dedup != "append":
        running = queue.keys[published.type, published.key].running
    if running:
        return [f"It is held by its key {published.key!r}: {_named(queue.look(running), looks)} of that key is being handled."]
    slots = queue.slots.get((published.type, published.key or ""))
    taken = len(slots.taken) if slots is not None else 0
    return [f"It is held by its key {published.key!r}, of which only so many are handled at once: {taken} are."]


def _ready(states: States, message: Message) -> list[str]:
    type_name = message.published.type
    counts = states.queue.by_type[type_name]
    handler = states.handlers.handlers.get(type_name)
    line = f"{counts.ready:,} of its type are ready" if counts.ready > 1 else "it is the only one of its type that is ready"
    if states.handlers.is_paused(type_name):
        which = "all types" if states.handlers.paused else "its type"
        return [f"It is ready, and deliveries of {which} are paused: resume them."]
    if handler is None:
        return [f"It is ready, and no handler was ever registered for its type ({line}): register one."]
    alone = states.queue.quarantined
    if alone and message.number not in alone:
        return [f"It is ready, and waits while {len(alone)} message(s) that may kill their process run alone."]
    sentences = [
        f"It is ready and waits for one of the {handler.parallelism} worker(s) of its handler ({line}, {counts.out:,} are out)."
    ]
    if not handler.parallelism:
        sentences = [f"It is ready, and its handler is scaled to 0 workers: scale it up ({line})."]
    if is_quarantined(message):
        sentences.append(f"It was being handled when its process died, {message.crashes} times; so it runs alone.")
    if states.queue.paces.get(type_name, 0) > states.at_us:
        sentences.append(f"The rate of its handler allows the next delivery {_when(states.queue.paces[type_name])}.")
    return sentences


def _named(message: Message | None, looks: Callable[[str], bool] | None) -> str:
    is_seen = message is not None and (looks is None or looks(message.published.type))
    return f"message {message.published.id}" if message is not None and is_seen else "another message"


def _time(record: Record | None) -> str:
    return "" if record is None else f"at {record.at:%Y-%m-%d %H:%M:%S} UTC (seq {record.seq})"


def _when(at_us: int) -> str:
    return f"at {moment(at_us):%Y-%m-%d %H:%M:%S} UTC"
