"""`Bystander`: what takes turns beside the actors of a simulation. What runs next is drawn in `simulated_executor`."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Bystander"]


class Bystander(Protocol):
    """What takes turns beside the actors, and outlives their process: a connection to a client, for example."""

    def is_able(self) -> bool:
        """Return whether there is something to do now."""

    def turn(self) -> None:
        """Do one thing. May raise the death of the actors' process."""

    def next_s(self) -> float | None:
        """Return the next monotonic time, after now, at which there is something to do by itself."""
