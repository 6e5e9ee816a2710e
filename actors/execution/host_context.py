"""What the host's code runs in: its context variables, its event loop if it has one, and the coroutines under way: `HostContext`.

It outlives every actor. The actor that runs a loop is in `event_loop`.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from perdure.actors.execution.loop_call import LoopCall

__all__ = ["HostContext"]


class HostContext:
    """The surroundings of the host's handlers and hooks in one run."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, *, wants_loop: bool = False) -> None:
        self.loop = loop
        """The host's event loop, if coroutine handlers run there and not on one of the system's own."""
        self.wants_loop = wants_loop
        """Hooks of the host run on the event loop, whether or not handlers do."""
        self.variables = copy_context()
        """The context variables that the system was started with, and those that its start hooks set: each message gets a copy."""
        self.loop_calls: set[LoopCall] = set()
        """The coroutines that run on the event loop."""
