"""What the owner sends about a member's handlers, as messages to its dispatcher; and what the dispatcher needs in order to answer.

Plain carriers of values. `held_handlers` makes them from frames.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs

__all__ = ["Configured", "Overdue", "OwnerPort", "Revoked", "Setting"]


@attrs.frozen
class Setting:
    """What an operator set for one handler."""

    parallelism: int = -1
    """Below 0: as the code says."""
    changes: dict[str, Any] = attrs.field(factory=dict)
    paused: bool = False


@attrs.frozen
class Configured:
    """An operator has changed a handler's settings, or the owner sends them for the first time."""

    type: str


@attrs.frozen
class Overdue:
    """A lease has run out: what becomes of the delivery?"""

    type: str
    number: int
    id: str
    attempt: int
    until_us: int


@attrs.frozen
class Revoked:
    """A lease is over; `cancels`: since the message was cancelled."""

    type: str
    number: int
    id: str
    attempt: int
    cancels: bool


class OwnerPort(Protocol):
    """The way to the owner, and the settings that it has sent."""

    settings: dict[str, Setting]
    """By type, once the owner has sent it: until then a handler runs as its code says. Outlives the dispatcher."""

    def subscribe(self, type_name: str, may_be_out: int, slots: int) -> None:
        """Send the owner how many deliveries a type's workers take now. In any thread."""
