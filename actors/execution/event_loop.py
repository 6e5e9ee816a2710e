"""The event loop: one asyncio loop in one thread, where all coroutine handlers run.

It decides nothing: a worker gives it a coroutine and waits for its end. If the loop dies, so do the coroutines on it; its
successor ends the waits for them with an error.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.core.foreign_lines import left_out
from perdure.actors.core.threads.mailbox import stops
from perdure.actors.execution.loop_call import LoopCall
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.public_names import public

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextvars import Context

    from perdure.actors.core.directory import Directory
    from perdure.actors.execution.host_context import HostContext

__all__ = ["EventLoop", "HostLoop", "LoopClosed", "LoopDied", "loop_actor"]


logger = GuardedLogger("perdure")

TIDY_S = 0.25
"""Seconds beyond the grace period that coroutines which are cancelled at a stop get to tidy up."""


@public
class LoopDied(PerdureError):
    """The event loop died under the handler; the attempt counts and the message is tried again."""


class LoopClosed(LoopDied):
    """The host's event loop, on which its handlers run, is closed: the handler has not begun, and no later one can."""


CLOSED = (
    "the event loop of the host, on which its handlers run, is closed. Stop the system before its loop ends: leave "
    "`async with system:` first, or call `await asyncio.to_thread(system.stop)`"
)
CLOSED_LOOK_S = 0.5
"""How often, in seconds, to check whether the host's loop is closed: closing it sends no message."""


class _Inbox:
    """A mailbox that lies in the loop: what is put in it is handled between two steps of the handlers."""

    def __init__(self, actor: EventLoop) -> None:
        self._actor = actor

    def put(self, item: Any) -> None:
        try:
            self._actor.loop.call_soon_threadsafe(self._actor.on_item, item)
        except RuntimeError:
            return  # the loop is closed: the actor is dead, and its successor has another

    @staticmethod
    def empty() -> bool:
        return True


class EventLoop(Actor):
    """Started with the first coroutine handler."""

    runs_handlers = runs_host_code = True
    _thread: int | None = None
    """The thread, or greenlet, that runs the loop; None where the host runs it."""

    def __init__(self, directory: Directory, host: HostContext, generation: int) -> None:
        with left_out():
            self.loop = asyncio.new_event_loop()
        super().__init__(directory, "event_loop", generation)
        self.host = host
        self._actors = directory.actors
        self.actor_inbox = _Inbox(self)  # type: ignore[assignment]  # nothing is ever taken from it: the loop does
        self.actor_ref.actor_inbox = self.actor_inbox

    def runs_here(self) -> bool:
        """Return whether the caller runs on this loop. Under gevent and eventlet, all greenlets of its thread see it running."""
        try:
            return asyncio.get_running_loop() is self.loop and self._thread in (None, threading.get_ident())
        except RuntimeError:
            return False

    def is_gone(self) -> bool:
        """Return whether no coroutine can be started on this loop any more, nor on a successor's."""
        return False

    def on_start(self) -> None:
        """Fail the calls of a predecessor's loop, which is dead."""
        for call in list(self.host.loop_calls):
            if call.generation < self.generation:
                call.fail(LoopDied("the event loop died while this handler was on it"))

    def run(self) -> None:
        """Run the loop until a stop is asked for."""
        self._thread = threading.get_ident()
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            if self.killed:
                raise ActorKilled(self.name)
            self._end_tasks()
            self.at_rest = True
        finally:
            self.loop.close()

    def on_item(self, item: Any) -> None:
        """Handle a message. Runs in the loop's thread."""
        if stops(item) or self.killed:
            self.loop.stop()

    def _end_tasks(self) -> None:
        """Cancel what still runs, and give it a moment to tidy up; what goes on regardless is left behind."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _, tasks = self.loop.run_until_complete(asyncio.wait(tasks, timeout=TIDY_S))
        for task in tasks:
            logger.warning("a coroutine goes on although it was cancelled; it is left behind: %r", task.get_coro())
        self.loop.run_until_complete(asyncio.wait_for(self.loop.shutdown_asyncgens(), TIDY_S))

    def call(self, coroutine: Coroutine[Any, Any, Any], variables: Context) -> LoopCall:
        """Start a coroutine with these context variables; callable in any thread.

        Raises:
            LoopDied: this loop is dead, and its successor not there yet.
        """
        call = LoopCall(self.loop, self.generation, coroutine)
        self.host.loop_calls.add(call)
        try:
            self.loop.call_soon_threadsafe(call.begin, context=variables)
        except RuntimeError:
            self.host.loop_calls.discard(call)
            coroutine.close()
            if self.is_gone():
                raise LoopClosed(CLOSED) from None
            msg = "the event loop is dead; a new one is on its way"
            raise LoopDied(msg) from None
        if self.killed or self._actors.get(self.name) is not self:
            call.fail(LoopDied("the event loop died before this handler was on it"))
        return call


class HostLoop(EventLoop):
    """The host's own loop, which the host runs and closes. Its actor only watches it, and lets the coroutines on it go."""

    runs_host_code = False

    def __init__(self, directory: Directory, host: HostContext, loop: asyncio.AbstractEventLoop, generation: int) -> None:
        Actor.__init__(self, directory, "event_loop", generation)
        self.host = host
        self._actors = directory.actors
        self.loop = loop

    def is_gone(self) -> bool:
        """See `EventLoop.is_gone`."""
        return self.loop.is_closed()

    def on_start(self) -> None:
        """Cancel what a predecessor has started: its loop is alive, and would go on with it."""
        for call in list(self.host.loop_calls):
            if call.generation < self.generation:
                call.cancel()
                call.give_up(LoopDied("the watcher of the event loop died while this handler was on it"))

    def run(self) -> None:
        """Watch the loop until a stop is asked for."""
        Actor.run(self)

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`."""
        return CLOSED_LOOK_S

    def on_batch(self, _messages: list[Any], /) -> None:
        """Look whether the loop is still there: whatever comes asks for that."""
        self.on_idle()

    def on_idle(self) -> None:
        """Look whether the loop is still there.

        Raises:
            LoopClosed: it is not, and the system cannot go on.
        """
        if self.loop.is_closed():
            for call in list(self.host.loop_calls):
                call.give_up(LoopDied(CLOSED))
            raise LoopClosed(CLOSED)

    def on_stop(self) -> None:
        """Cancel what still runs; the host's loop lets it tidy up."""
        for call in list(self.host.loop_calls):
            call.cancel()


def loop_actor(directory: Directory, host: HostContext, generation: int) -> EventLoop:
    """Return the actor of the loop that coroutine handlers run on: the host's, where there is one."""
    if host.loop is not None:
        return HostLoop(directory, host, host.loop, generation)
    return EventLoop(directory, host, generation)
