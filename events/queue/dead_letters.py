"""The dead letters as the fold of the queue's events.

No decision is made here: what becomes a dead letter is in `outcomes`, what is replayed or purged in `replay_and_purge`. How they
are searched is in `searching/letter_search`.
"""

from __future__ import annotations

import attrs

from perdure.events import vocabulary as ev
from perdure.events.commands import Death, ReplayItem
from perdure.events.commit_size import measure
from perdure.events.structures.death_order import DeathOrder

__all__ = ["DeadLettersState", "Letter", "death", "evolve", "failures_of", "full_reason", "letter_bytes", "replay_item"]

MESSAGE_CHARS = 300
"""How much of an exception's message a reason shows; the record has all of it."""


@attrs.define(eq=False)
class Letter:
    """One dead letter: the event that made it, and when that was decided."""

    event: ev.DeadLettered
    failed_us: int
    seq: int = 0
    """The sequence number of the event."""
    place: int = 0
    """Its place among all that have died in this state."""


@attrs.define(eq=False)
class DeadLettersState:
    """All dead letters, oldest first."""

    letters: dict[int, Letter] = attrs.field(factory=dict)
    by_id: dict[str, int] = attrs.field(factory=dict)
    in_order: DeathOrder[Letter] = attrs.field(factory=DeathOrder)
    by_type: dict[str, DeathOrder[Letter]] = attrs.field(factory=dict)
    by_reason: dict[str, int] = attrs.field(factory=dict)
    """How many there are with each reason."""
    deaths: int = 0
    """The place of the last that died."""
    payload_bytes: int = 0


def death(event: ev.DeadLettered) -> Death:
    """Return the identity of this death of the message: the attempt that failed, and when."""
    return Death(event.number, event.failures[-1].at_us if event.failures else 0, event.attempts)


def letter_bytes(event: ev.DeadLettered) -> int:
    """Return an upper bound of the bytes that a dead letter takes on record, with all its texts."""
    return measure([event]).bytes


def failures_of(event: ev.DeadLettered) -> list[tuple[int, ev.FailureNote]]:
    """Return each failure with the number of its attempt as the handler saw it; every attempt that counts has left one."""
    return list(enumerate(event.failures, event.attempts - len(event.failures) + 1))


def full_reason(event: ev.DeadLettered) -> str:
    """Return the reason on one line, with the last exception's message where the reason lacks it, up to a bound."""
    message = " ".join(event.message.split())
    if not message or " ".join(event.reason.split()).endswith(message):
        return event.reason
    shown = message if len(message) <= MESSAGE_CHARS else f"{message[: MESSAGE_CHARS - 1]}…"
    return f"{event.reason}: {shown}"


def evolve(state: DeadLettersState, event: ev.Event, at_us: int, seq: int = 0) -> DeadLettersState:
    """Fold one event into the state in place, and return the state. `at_us`: when the event was decided; `seq`: its number."""
    match event:
        case ev.DeadLettered():
            _add(state, event, at_us, seq)
        case ev.Replayed() | ev.Purged():
            _remove(state, event.number)
    return state


def _add(state: DeadLettersState, event: ev.DeadLettered, at_us: int, seq: int) -> None:
    _remove(state, event.number)
    published = event.published
    state.deaths += 1
    letter = Letter(event, at_us, seq, state.deaths)
    state.letters[event.number] = letter
    state.by_id[published.id] = event.number
    state.in_order.add(letter)
    if published.type not in state.by_type:
        state.by_type[published.type] = DeathOrder()
    state.by_type[published.type].add(letter)
    state.by_reason[event.reason] = state.by_reason.get(event.reason, 0) + 1
    state.payload_bytes += len(published.payload)


def _remove(state: DeadLettersState, number: int) -> None:
    letter = state.letters.pop(number, None)
    if letter is None:
        return
    published, reason = letter.event.published, letter.event.reason
    state.by_id.pop(published.id, None)
    state.in_order.remove(letter)
    of_type = state.by_type[published.type]
    of_type.remove(letter)
    if not of_type:
        del state.by_type[published.type]
    state.by_reason[reason] -= 1
    if not state.by_reason[reason]:
        del state.by_reason[reason]
    state.payload_bytes -= len(published.payload)


def replay_item(letter: Letter, *, reset_retries: bool) -> ReplayItem:
    """Return the item of a `Replay`. Unless reset, the attempts stay counted, and the message has one more."""
    event = letter.event
    if reset_retries:
        return ReplayItem(death(event), event.published, 0, [])
    return ReplayItem(death(event), event.published, event.attempts, event.failures)
