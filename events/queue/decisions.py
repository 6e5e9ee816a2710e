"""The entry of `decide`: which rule decides each command, and the rules of cancelling and of schedules.

Pure: a rule takes a state, a command, the time and the limits, and returns events or raises. How events change the state is in
`folds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.commands import (
    AdvanceBulk,
    BeginBulk,
    Cancel,
    CheckOut,
    Done,
    EndBulk,
    ExpireLease,
    Extend,
    Fail,
    Orphan,
    Publish,
    Purge,
    ReassertLease,
    Release,
    Replay,
    RunNow,
    Spend,
    TakeIn,
    Tick,
)
from perdure.events.errors import DuplicateKey, UnknownMessage
from perdure.events.limits import Limits
from perdure.events.queue import bulk_acts, leasing, outcomes, replay_and_purge
from perdure.events.queue.admission import publishing, spooled
from perdure.events.queue.endings import no_result
from perdure.events.structures.message import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.queue.state import QueueState


__all__ = ["RULES", "Limits", "decide"]

Events: TypeAlias = list[ev.Event]


def decide(state: QueueState, command: object, now_us: int, limits: Limits) -> Events:
    """Return the events that follow from one command; the state is not changed.

    Raises:
        QueueFull: the backlog has no room for all drafts.
        DuplicateKey: a draft's key is held and its policy is `reject`.
        UnknownMessage: a dead letter to replay does not exist.
        LeaseLost: the lease to extend is no longer in force.
    """
    return RULES[command.__class__](state, command, now_us, limits)


def _cancel(state: QueueState, command: Cancel, now_us: int, limits: Limits) -> list[ev.Event]:
    message = state.by_id(command.id)
    if message is None:
        return []
    return [ev.Cancelled(message.number, command.reason), *no_result(state, message.published, "Cancelled", now_us, limits)]


def _run_now(state: QueueState, command: RunNow, now_us: int, limits: Limits) -> Events:
    """Return what a tick that an operator asks for publishes, or wake a message that waits for its time.

    Raises:
        UnknownMessage: the message does not wait for a time.
    """
    if command.draft is not None:
        known = command.draft.id in state.ids or command.draft.id in state.past
        return [] if known else publishing.accept(state, [command.draft], now_us, limits)
    message = state.by_id(command.id)
    if message is None or message.status is not Status.DELAYED:
        msg = (
            f"message {command.id} does not wait for its time, so it cannot be run sooner; "
            f"`perdure explain FOLDER {command.id}` says where it is"
        )
        raise UnknownMessage(msg)
    return [ev.Awakened(message.number)]


def _tick(state: QueueState, command: Tick, now_us: int, limits: Limits) -> Events:
    """Return what a due tick publishes, once for each due time, however full the backlog is. A schedule begins once.

    A tick that its key's policy rejects is passed over. After the clock was put back, a due time may come whose message was
    published before: the message of this tick then gets an id of its own. Of several schedulers that take a schedule back with the
    clock, the first one counts.
    """
    dealt_with_us = state.ticks.get(command.schedule, 0)
    if command.anew:
        if command.after_us != dealt_with_us:
            return []
    elif command.due_us <= dealt_with_us or (dealt_with_us and not command.after_us):
        return []
    ticked = ev.Ticked(command.schedule, command.due_us)
    draft = command.draft
    if draft is None:
        return [ticked]
    if draft.id in state.ids or draft.id in state.past:
        draft = draft._replace(id=f"{draft.id}#{state.next_number}")
    try:
        return [*publishing.accept(state, [draft], now_us, limits), ticked]
    except DuplicateKey:
        return [ticked]


RULES: dict[type, Callable[[QueueState, Any, int, Limits], Events]] = {
    Publish: publishing.publish,
    CheckOut: leasing.check_out,
    Done: outcomes.done,
    Fail: outcomes.fail,
    ExpireLease: outcomes.expire_lease,
    ReassertLease: outcomes.reassert_lease,
    Spend: outcomes.spend,
    Orphan: outcomes.take_back,
    Release: outcomes.release,
    Extend: leasing.extend,
    Replay: replay_and_purge.replay,
    Purge: replay_and_purge.purge,
    TakeIn: spooled.take_in,
    BeginBulk: bulk_acts.begin,
    AdvanceBulk: bulk_acts.advance,
    EndBulk: bulk_acts.end,
    Cancel: _cancel,
    RunNow: _run_now,
    Tick: _tick,
}
