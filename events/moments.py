"""Moments of drafts as they go from one process to another, whose clocks may differ.

A process's `now_us` never goes back. After the wall clock is put back, it is ahead of the wall clock, and of the `now_us` of a
process that starts later. So moments cross in terms of a clock that both ends can read: the sender subtracts the lead of its own
clock, and the receiver adds the lead of its own. So the time left until a moment stays the same.

Pure. Lengths of time (leases, windows, pauses) need none of this. `perdure.actors.core.clock` finds out which clock that is, and
the lead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.commands import Done, DraftRun, Publish, Tick

if TYPE_CHECKING:
    from perdure.events.commands import Draft

__all__ = ["has_moments", "moved", "moved_draft"]

LAST_US = (1 << 63) - 1


def has_moments(command: Any) -> bool:
    """Return whether a command has drafts with a moment: when one is due, or expires."""
    kind = command.__class__
    if kind is Publish or kind is Done:
        drafts = command.drafts
        return drafts.__class__ is not DraftRun and any(draft.due_us or draft.expires_us for draft in drafts)
    draft = command.draft if kind is Tick else None
    return draft is not None and bool(draft.due_us or draft.expires_us)


def moved(command: Any, by_us: int) -> Any:
    """Return a command whose drafts have their moments `by_us` microseconds later; itself where it has none."""
    if not by_us or not has_moments(command):
        return command
    if isinstance(command, Publish):
        return Publish([moved_draft(draft, by_us) for draft in command.drafts], command.fresh, command.deadline_us)
    if isinstance(command, Done):
        return command._replace(drafts=tuple(moved_draft(draft, by_us) for draft in command.drafts))
    return Tick(command.schedule, command.due_us, moved_draft(command.draft, by_us), command.after_us, command.anew)


def moved_draft(draft: Draft, by_us: int) -> Draft:
    """Return a draft whose moments are `by_us` microseconds later; 0 is no moment, and stays."""
    if not by_us or not (draft.due_us or draft.expires_us):
        return draft
    return draft._replace(due_us=_moved(draft.due_us, by_us), expires_us=_moved(draft.expires_us, by_us))


def _moved(at_us: int, by_us: int) -> int:
    # A moment below 0 is invalid, and is refused where all fields are checked.
    return min(LAST_US, max(1, at_us + by_us)) if at_us > 0 else at_us
