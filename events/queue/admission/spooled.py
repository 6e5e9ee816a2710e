"""What follows from publishes that a process spooled while nothing owned the folder.

Their callers have an answer, so none can be refused: what cannot be accepted becomes a dead letter, with the reason. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev
from perdure.events.commands import DraftRun
from perdure.events.errors import DuplicateKey, PublishTimeout
from perdure.events.queue.admission.publishing import accept, are_unknown, check_doubt, check_room, unknown
from perdure.events.queue.dead_letters import letter_bytes
from perdure.events.queue.endings import full_of_letters, results, room_for_letter
from perdure.events.runs import PublishedRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.commands import Draft, TakeIn
    from perdure.events.errors import PerdureError
    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState

__all__ = ["take_in"]


def take_in(state: QueueState, command: TakeIn, now_us: int, limits: Limits) -> list[ev.Event]:
    """Accept all drafts, or make all of them dead letters; a draft whose id is known adds nothing.

    Raises:
        QueueFull: there is no room for them now.
    """
    drafts = command.drafts
    if isinstance(drafts, DraftRun) and are_unknown(state, drafts):
        size = drafts.payload_bytes()
        check_room(state, len(drafts.payloads), size, limits)
        return [PublishedRun(state.next_number, drafts.type, drafts.ids, drafts.payloads, size)]
    fresh = unknown(state, drafts)
    if not fresh:
        return []
    check_room(state, len(fresh), sum([len(draft.payload) for draft in fresh]), limits)
    try:
        if state.past.forgotten:
            check_doubt(state, fresh)
        return accept(state, fresh, now_us, limits)
    except (DuplicateKey, PublishTimeout) as error:
        return _dead_letters(state, fresh, error, now_us, limits)


def _dead_letters(state: QueueState, drafts: Sequence[Draft], error: PerdureError, now_us: int, limits: Limits) -> list[ev.Event]:
    """Publish the drafts without the options that were refused, and end them in the same frame as dead letters with the reason."""
    exception = f"perdure.{type(error).__name__}"
    events: list[ev.Event] = []
    letters: list[ev.DeadLettered] = []
    for number, draft in enumerate(drafts, state.next_number):
        bare = draft._replace(key=None, dedup=None, group=None, due_us=0, expires_us=0)
        events.append(ev.Published(number, *bare))
        reason = f"refused when it was taken in from the spool: {error}"
        note = ev.FailureNote(now_us, 0, exception, str(error))
        letters.append(ev.DeadLettered(number, ev.Published(number, *draft), reason, 0, exception, str(error), "", [note]))
    size = sum(map(letter_bytes, letters))
    has_room = len(state.dead) + len(letters) <= limits.dead_letters and state.dead_bytes + size <= limits.dead_letters_bytes
    if not has_room and not limits.drop_newest:
        events += [ev.Purged(oldest, full_of_letters(limits)) for oldest in room_for_letter(state, size, limits)]
    for letter in letters:
        events.append(letter)
        if not has_room and limits.drop_newest:
            events.append(ev.Purged(letter.number, full_of_letters(limits)))
    return [*events, *results(state, [(letter.published, (b"", exception, str(error))) for letter in letters], now_us, limits)]
