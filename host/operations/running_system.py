"""What administration and dead letters need of the front door that they belong to: a `System`, or a `Client` in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from perdure.actors.core.clock import Clock
    from perdure.actors.services.runtime import Runtime
    from perdure.actors.sessions.figures import RunFigures
    from perdure.publishing.drafts import Drafts

__all__ = ["HasRuntime", "RunningSystem"]


class RunningSystem(Protocol):
    """A system that may run, in this process or in another. Safe in any thread."""

    @property
    def clock(self) -> Clock:
        """The source of time."""

    @property
    def drafts(self) -> Drafts:
        """Names of message types, and their codec."""

    def ask(self, actor: str, command: Any, *, timeout_s: float = ...) -> Any:
        """Ask an actor and return its answer.

        Raises:
            NotRunning: there are none.
        """

    def permit(self, action: str, types: Callable[[], Iterable[str]] = ...) -> None:
        """Refuse an act of a principal that lacks the right; see `Asking.permit`.

        Raises:
            NotAllowed: it does.
        """

    def run_figures(self) -> RunFigures:
        """Return the figures of the run that no actor is asked for.

        Raises:
            NotRunning: it does not run.
        """

    def hold_history(self) -> AbstractContextManager[None]:
        """Return what keeps all segments and snapshots as long as it is entered.

        Raises:
            NotRunning: it does not run.
        """


class HasRuntime(Protocol):
    """A system whose actors are in this process."""

    def permit(self, action: str, types: Callable[[], Iterable[str]] = ...) -> None:
        """As `RunningSystem.permit`."""

    @property
    def runtime(self) -> Runtime:
        """The running actors.

        Raises:
            NotRunning: there are none.
        """
