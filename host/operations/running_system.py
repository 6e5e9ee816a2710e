"""What administration and dead letters need of the system that they belong to; `perdure.System` implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from perdure.actors.core.clock import Clock
    from perdure.actors.services.runtime import Runtime
    from perdure.publishing.drafts import Drafts

__all__ = ["RunningSystem"]


class RunningSystem(Protocol):
    """A system that may run. Safe in any thread."""

    @property
    def clock(self) -> Clock:
        """The source of time."""

    @property
    def drafts(self) -> Drafts:
        """Names of message types, and their codec."""

    @property
    def runtime(self) -> Runtime:
        """The running actors.

        Raises:
            NotRunning: there are none.
        """

    def ask(self, actor: str, command: Any, *, timeout_s: float = ...) -> Any:
        """Ask an actor and return its answer.

        Raises:
            NotRunning: there are none.
        """
