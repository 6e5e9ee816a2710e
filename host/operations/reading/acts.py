"""The acts of operators that a log holds.

Not here: who acts (`perdure.arguments.acting`), and the event that puts an act on record (`perdure.events.acts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events import vocabulary as ev
from perdure.events.public_names import public

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["OperatorAct", "act_of"]


@public
@attrs.frozen
class OperatorAct:
    """One act of an operator, as the log has it."""

    seq: int
    at: dt.datetime
    action: str
    """For example `pause`, `scale`, `replay` or `cancel`."""
    subject: str
    """The id of a message, the name of a type, or the filter of a bulk act; empty for all."""
    count: int
    """How many messages or handlers it changed in this commit."""
    principal: str
    origin: str
    """How it reached the owner of the log: `own process`, or `socket, uid UID, process PID`."""
    reason: str


def act_of(seq: int, at: dt.datetime, event: ev.Event) -> OperatorAct | None:
    """Return the act that an event of the log is; None if it is none."""
    if not isinstance(event, (ev.MessagesAdministered, ev.HandlersAdministered)):
        return None
    return OperatorAct(seq, at, event.action, event.subject, event.count, event.principal, event.origin, event.reason)
