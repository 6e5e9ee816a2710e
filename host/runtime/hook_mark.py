"""What a run asks of start and stop hooks, and the mark of one while it runs: a call that would wait for its own end is refused.

The hooks themselves are in `perdure.handling.hooks`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from perdure.events.errors import WouldDeadlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.services.runtime import HandlerRuntime

__all__ = ["MARK", "HookMark", "Hooks", "check_outside_hooks"]


class Hooks(Protocol):
    """The start and stop hooks of the host; `perdure.handling.hooks` implements it."""

    need_loop: bool
    """They run on the event loop of the coroutine handlers."""

    def __bool__(self) -> bool:
        """Return whether there are any hooks."""

    def run_start(self, runtime: HandlerRuntime, given_up: Callable[[], bool]) -> None:
        """Run the start hooks.

        Raises:
            Whatever a hook raises.
        """

    def run_stop(self, runtime: HandlerRuntime, seconds: float) -> None:
        """Run the stop hooks within `seconds`."""


class HookMark:
    """Which runtime's hook runs, or which cluster's; None once it has ended. Tasks that a hook leaves behind keep the mark."""

    def __init__(self, runtime: object) -> None:
        self.runtime: object | None = runtime


MARK: ContextVar[HookMark | None] = ContextVar("perdure.runtime.hook_mark", default=None)


def check_outside_hooks(runtime: object, call: str) -> None:
    """Refuse a call that waits for a start or a stop, inside a hook that this start or stop waits for.

    Raises:
        WouldDeadlock: a hook of this runtime calls.
    """
    mark = MARK.get()
    if mark is not None and mark.runtime is runtime:
        msg = (
            f"{call}: a start or stop hook calls it, and the system hands out no message before that hook has ended, so it would "
            "never end. Do it after the start, or leave it to a task or thread that the hook does not wait for; `publish` is "
            "allowed in a start hook."
        )
        raise WouldDeadlock(msg)
