"""What the parts of the front door need of what answers them: a run of this process, or a connection to one of another process.

`current_run` is the one, `perdure.processes.connected` the other. Nothing is decided or waited for here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.figures import RunFigures

__all__ = ["ASK_TIMEOUT_S", "HANDLERS_SETTLE_S", "Asking", "asked"]

ASK_TIMEOUT_S = 60.0
HANDLERS_SETTLE_S = 1.0
"""How long the processes of a shared folder take at most to report to a new owner what they handle."""


def asked(pending: PendingRequests, answer: Answer, actor: str, command: Any, timeout_s: float) -> Any:
    """Ask an actor, wherever it is, and return its answer.

    Raises:
        NotRunning, StoreUnavailable: nothing can answer.
        TimeoutError: no answer came within `timeout_s` seconds.
        PerdureError: the actor refused the command.
    """
    request = pending.send(actor, command, answer)
    try:
        return answer.wait(timeout_s)
    except TimeoutError as error:
        if isinstance(error, PerdureError):
            raise  # its own answer
        pending.forget(request)
        msg = (
            f"the {actor} did not answer within {timeout_s:g} s: its process is very busy, or stopped. What was asked may be done "
            "all the same; look before you ask again."
        )
        raise TimeoutError(msg) from None


class Asking(ABC):
    """The base of the parts that publish, wait for results and consume by hand. All methods may be called in any thread.

    Raises:
        NotRunning: all that return something, where nothing answers.
    """

    _checked_out_types: dict[str, None]
    """The types of which a message was checked out by hand, or tried to be: something consumes them here. Bounded by `remember`."""

    @property
    @abstractmethod
    def _pending(self) -> PendingRequests:
        """The requests that have no answer yet."""

    @abstractmethod
    def _check_running(self) -> None:
        """Refuse where nothing would answer."""

    @abstractmethod
    async def _ready(self) -> None:
        """Wait, from a coroutine, until it is known what a request may be; `_check_running` does so from a thread."""

    @abstractmethod
    def _pending_and_answer(self) -> tuple[PendingRequests, Answer]:
        """Return `_pending`, and a reply to a new request that the caller can wait for. One call, since each publish makes it.

        Raises:
            WouldDeadlock: the caller is an actor that must not wait for others.
        """

    @abstractmethod
    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Ask an actor and wait for its answer; asked again by itself if the actor dies.

        Raises:
            NotRunning, StoreUnavailable: nothing can answer.
            TimeoutError: no answer in time.
            PerdureError: the actor refused.
        """

    @abstractmethod
    def _check_may_block(self, call: str, instead: str, types: Iterable[str]) -> None:
        """Refuse to block the event loop on which the handlers of these types run: they would never end.

        Raises:
            WouldDeadlock: it would.
        """

    @abstractmethod
    def _check_outside_hooks(self, call: str) -> None:
        """Refuse what waits for handlers in a start or stop hook, for whose end they wait.

        Raises:
            WouldDeadlock: a hook calls.
        """

    _handlers_settle_s: float = 0.0
    """Seconds that `_handled` may lack a type that a process handles, since the folder is just passing to another owner."""

    @property
    @abstractmethod
    def _handled(self) -> Collection[str]:
        """The types that have a handler."""

    @abstractmethod
    def _retries_of(self, type_name: str) -> int:
        """Return how often a message of a type is tried again, unless a consumer names another number."""

    @abstractmethod
    def _waiting_for(self, type_name: str) -> AbstractContextManager[None]:
        """Wait for a message of a type within this block.

        Raises:
            WouldDeadlock: a handler waits, and all workers that could handle it wait for one another, this one included.
        """

    @abstractmethod
    def _exception_of(self, ident: str) -> BaseException | None:
        """Return the exception that ended a message, where its handler ran in this process."""

    def permit(self, action: str, types: Callable[[], Iterable[str]] = lambda: ("",)) -> None:  # noqa: B027 - nothing by default
        """Refuse an act of a principal (`acting_as`) that lacks the right. Here it does nothing, since the owner checks rights.

        Args:
            action: one of `perdure.events.actions.ACTIONS`.
            types: returns the types of the messages that it is about; called only where it matters.

        Raises:
            NotAllowed: the system's `authorize` does not allow it.
        """

    @abstractmethod
    def run_figures(self) -> RunFigures:
        """Return the figures of the run that no actor is asked for; for the metrics."""
