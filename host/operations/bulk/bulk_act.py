"""`BulkAct`: a bulk act as the log has it, how one is begun from its `Plan`, and how a caller waits until it is over.

Not here: what a System and a Client offer (`acts_where`, `cancels_where`), and the rules (`perdure.events.queue.bulk_acts`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.arguments.acting import new_act
from perdure.arguments.labels import check_label
from perdure.events.commands import BeginBulk, LookAtBulk
from perdure.events.errors import InvalidMessage, UnknownMessage
from perdure.events.public_names import public
from perdure.events.seconds import shown, wait_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.structures.bulk import Bulk
    from perdure.operations.running_system import RunningSystem

__all__ = ["LOOK_FIRST_S", "LOOK_LAST_S", "BulkAct", "Plan", "carried_out", "found_bulk", "known_bulks"]

LOOK_FIRST_S = 0.01
LOOK_LAST_S = 0.25
"""The pause between two looks at a bulk act doubles from the one to the other."""


@public
@attrs.frozen
class BulkAct:
    """A bulk act, as the log has it now."""

    id: str
    action: str
    """`replay`, `edit` or `purge`, of dead letters; `cancel`, of messages that wait or run."""
    where: str
    counted: int
    """How many the expression selected when they were counted."""
    changed: int
    """How many of them it has changed so far."""
    passed_over: int
    """How many are still dead: a newer message holds the key, or there is nothing to edit in them."""
    is_over: bool
    outcome: str
    """Why it was stopped before its end; empty if it was not."""
    principal: str
    origin: str
    reason: str

    @property
    def changed_meanwhile(self) -> int:
        """How many that were counted had been changed by others, or had ended, before the act came to them; 0 until it is over."""
        return max(0, self.counted - self.changed - self.passed_over) if self.is_over else 0


@attrs.frozen
class Plan:
    """What a bulk act is to do."""

    action: str
    where: str
    upto: int
    """What was counted: up to this sequence number; to cancel, up to the message of this number."""
    count: int
    by_type: dict[str, int]
    reset_retries: bool = True
    changes: dict[str, Any] = attrs.field(factory=dict)


def carried_out(
    system: RunningSystem,
    plan: Plan,
    timeout: float | None,
    progress: Callable[[BulkAct], object] | None,
    ident: str | None = None,
) -> BulkAct:
    """Begin a bulk act, unless one is known under its id, and wait until it is over.

    Raises:
        NotAllowed: the system's `authorize` refuses it.
        InvalidMessage: the timeout is no length of time, or the id is that of another act.
    """
    wait_s = wait_seconds("timeout", timeout)
    system.permit(plan.action, lambda: plan.by_type or ("",))
    is_given = ident is not None
    ident = system.drafts.ids.one() if ident is None else check_label("id", ident)
    planned = (plan.action, plan.where, plan.upto, plan.count, plan.reset_retries, plan.changes)
    begun: Bulk = system.ask("queue", BeginBulk(ident, *planned, new_act(plan.action, plan.where)))
    if is_given and _content(begun) != _content(plan):
        msg = f"id: {shown(ident)} is that of another bulk act, {begun.action} of {shown(begun.where)}; give each act its own"
        raise InvalidMessage(msg)
    act = _shown(begun)
    until_s = None if wait_s < 0 else time.monotonic() + wait_s
    pause_s = LOOK_FIRST_S
    while True:
        if progress is not None:
            progress(act)
        if act.is_over or (until_s is not None and time.monotonic() >= until_s):
            return act
        time.sleep(pause_s)
        pause_s = min(LOOK_LAST_S, 2 * pause_s)
        act = found_bulk(system, ident)


def _content(act: Bulk | Plan) -> bytes:
    """Return what an act does, and to which messages, as bytes: a NaN from another process is not equal to itself."""
    return msgspec.msgpack.encode([act.action, act.where, act.changes], order="sorted")


def found_bulk(system: RunningSystem, ident: str) -> BulkAct:
    """Return a bulk act as it stands now.

    Raises:
        UnknownMessage: no such act is known.
    """
    found: Bulk | None = system.ask("queue", LookAtBulk(ident))
    if found is None:
        msg = f"no bulk act has the id {shown(ident)}; `dead_letters.bulks()` shows those that are known"
        raise UnknownMessage(msg)
    return _shown(found)


def known_bulks(system: RunningSystem) -> list[BulkAct]:
    """Return the bulk acts that are known, the oldest first."""
    return [_shown(bulk) for bulk in system.ask("queue", LookAtBulk())]


def _shown(bulk: Bulk) -> BulkAct:
    counts = (bulk.count, bulk.changed, bulk.passed_over, bulk.is_over, bulk.outcome)
    return BulkAct(bulk.bulk, bulk.action, bulk.where, *counts, bulk.principal, bulk.origin, bulk.reason)
