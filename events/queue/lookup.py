"""Where a message stands: what the queue knows of an id, live or ended.

Pure. How ids are remembered is in `retention`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perdure.events.structures.message import Status

if TYPE_CHECKING:
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message import Message
    from perdure.events.vocabulary import ResultKept

__all__ = ["Lookup", "is_fate", "look_up"]

LIVE = {Status.READY: "ready", Status.DELAYED: "delayed", Status.HELD: "held", Status.LEASED: "leased"}
_LOST = "the message was "
"""The result that `endings` keeps of a message that was not completed begins with this."""


class Lookup(NamedTuple):
    """What is known of an id; `message` only of a live one."""

    status: str
    """One of `LIVE`, or `completed`, `dead`, `cancelled`, `expired`, `superseded`, `purged`, `ended` (it is unknown how), or
    `unknown`."""
    message: Message | None = None
    type: str = ""
    attempts: int = 0
    """How many have begun since it was published or replayed from zero. Attempts that do not count are not among them."""
    has_result: bool = False
    forgets: bool = False
    """Some ids are forgotten: an unknown id may be one of them."""


def is_fate(kept: ResultKept) -> bool:
    """Return whether a kept result records that its message ended unhandled, and not an exception of its handler."""
    return kept.exception.startswith("perdure.") and kept.message.startswith(_LOST)


def look_up(state: QueueState, ident: str) -> Lookup:
    """Return what the queue knows of an id."""
    kept = state.results.get(ident)
    number = state.ids.get(ident)
    message = state.look(number) if number else None
    if message is not None:
        attempts = message.attempts if message.lease is None else message.lease.attempt
        return Lookup(LIVE[message.status], message, message.published.type, attempts - message.forgiven)
    dead = state.dead.get(number)
    if dead is not None:
        return Lookup("dead", None, dead.type, dead.death.attempts if dead.death is not None else 0, kept is not None)
    if number:
        ended = state.finished.get(number)
        block = None if ended is not None else state.block_of(number)
        fate = state.fates.get(number, "completed")
        attempts = 1 if ended is None else abs(ended[1]) - state.uncounted.get(number, 0)
        return Lookup(fate, None, "" if block is None else block.type, attempts, kept is not None)
    if kept is not None:  # its id is forgotten, its result is not
        status = kept.exception.removeprefix("perdure.").lower() if is_fate(kept) else "ended" if kept.exception else "completed"
        return Lookup(status, has_result=True)
    if ident in state.past:
        return Lookup("ended")
    return Lookup("unknown", forgets=state.past.forgotten > 0)
