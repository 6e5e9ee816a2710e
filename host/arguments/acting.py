"""Who acts in this context, and why: `acting_as`, and the act that a command carries.

Not here: the event that puts an act on record (`perdure.events.acts`), and the acts that a log holds
(`perdure.operations.reading.acts`).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from perdure.actors.core.texts import plain_text
from perdure.actors.core.users import user_name
from perdure.arguments.labels import plain
from perdure.events.acts import TEXT_MAX, Act
from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["acting_as", "acting_principal", "new_act", "own_act", "user"]

OWN_PROCESS = "own process"
"""The origin of an act in the owner's own process; `Started` records which process that was."""

_acting: ContextVar[tuple[str, str] | None] = ContextVar("perdure_acting", default=None)
"""The principal and the reason of the block that runs."""


@public
@contextmanager
def acting_as(principal: str, *, reason: str = "") -> Iterator[None]:
    """Put acts of this block on record under a name: pause, scale, replay, purge, cancel and their kin, on any system or client.

    Without it the acts of `admin` and `dead_letters` are on record under the user that the process runs as, and a `cancel` is the
    application's own. Where the system has an `authorize`, it is asked whether the principal may do what the block does, publishes,
    takes out and looks at. Holds for this thread, or for this coroutine and what it awaits.

    Args:
        principal: the person or program that acts.
        reason: why, for the record.

    Raises:
        InvalidMessage: the principal is no text, or empty, or one of the texts is longer than 1,000 characters.
    """
    token = _acting.set((_text("principal", principal, least=1), _text("reason", reason)))
    try:
        yield
    finally:
        _acting.reset(token)


def acting_principal() -> str | None:
    """Return the principal of `acting_as` in this context; None outside of it, where the application acts for itself."""
    acting = _acting.get()
    return None if acting is None else acting[0]


def new_act(action: str, subject: str) -> Act:
    """Return an act of this context: by the principal of `acting_as`, else by the user of this process."""
    principal, reason = _acting.get() or (user(), "")
    return Act(action, plain_text(subject[:TEXT_MAX])[:TEXT_MAX], principal, OWN_PROCESS, reason)


def own_act(action: str, subject: str) -> Act | None:
    """Return an act if this runs within `acting_as`; None where the application acts for itself."""
    return new_act(action, subject) if _acting.get() is not None else None


def user() -> str:
    """Return the name of the user that this process runs as."""
    return user_name(os.geteuid())


def _text(field: str, value: object, *, least: int = 0) -> str:
    text = plain(value) if isinstance(value, str) else None
    if text is None or not least <= len(text) <= TEXT_MAX:
        msg = f"{field}: a text of {least} to {TEXT_MAX:,} characters, not {shown(value)}"
        raise InvalidMessage(msg)
    return plain_text(text)
