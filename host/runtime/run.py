"""What a System holds while it runs: its own actors (`engine.Engine`), or the way to those of another process (a member's run)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from perdure.actors.core.extensions import Schedule
    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.events.errors import NotRunning

__all__ = ["Role", "Run"]

Role = Literal["owner", "member"]


class Run(Protocol):
    """A run of a System in this process. All methods but `stop` and `shut_down` may be called in any thread."""

    @property
    def runtime(self) -> HandlerRuntime:
        """The parts that handlers need, and requests."""

    server: Server | None
    """Where other processes are answered."""

    @property
    def answer(self) -> Callable[[], Answer]:
        """What returns a reply that the caller can wait for."""

    @property
    def role(self) -> Role:
        """What this process is to the folder."""

    @property
    def handled(self) -> Collection[str]:
        """The types that have a handler, here or in another process."""

    def ask(self, actor: str, command: Any, *, timeout_s: float = ...) -> Any:
        """Ask an actor and return its answer, as `engine.Engine.ask`."""

    def run_figures(self) -> RunFigures:
        """Return the figures of the run that no actor is asked for; for the metrics."""

    def hold_history(self) -> AbstractContextManager[None]:
        """Return what keeps all segments and snapshots as long as it is entered."""

    def add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """Register a handler, and a schedule with it."""

    def stop(self, grace_s: float, why: NotRunning) -> None:
        """End in good order: handlers may go on for `grace_s`; pending and later calls raise `why`."""

    def end_grace(self) -> None:
        """End the grace period of a stop that is under way."""

    def let_go(self, why: NotRunning) -> None:
        """End what runs after it has given up because of `why`, so that it holds up no other process. A stop follows."""

    def shut_down(self, why: NotRunning, hooks_s: float = 0.0) -> None:
        """End at once."""

    def discard_after_fork(self, why: NotRunning) -> None:
        """Make the copy in a forked child refuse all calls."""
