"""One coroutine of a handler on an event loop, and the wait for it: `LoopCall`. The loop itself is in `event_loop`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.answer import Answer
from perdure.actors.execution.forks import FORKS, check_same_process

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["LoopCall"]


class LoopCall:
    """One coroutine on the loop. `wait` belongs to the worker, `cancel` to the thread that ends its lease."""

    __slots__ = ("_answer", "_dropped", "_loop", "_task", "_unbegun", "generation")

    def __init__(self, loop: asyncio.AbstractEventLoop, generation: int, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._unbegun = [coroutine]
        """Until it begins: the thread that takes it out runs it or closes it, so that no other does."""
        self._dropped = False
        self._task: asyncio.Task[None] | None = None
        self._answer = Answer()
        self.generation = generation

    def begin(self) -> None:
        """Start the task, unless the call is over already. Runs in the loop's thread."""
        if self._unbegun:
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            coroutine = self._unbegun.pop()
        except IndexError:
            return
        forks = FORKS.count
        try:
            value = await coroutine
        except BaseException as error:  # noqa: BLE001 - asyncio would let SystemExit end the loop; it is this handler's failure
            check_same_process(forks)
            self._answer.reject(error)
        else:
            check_same_process(forks)
            self._answer.resolve(value)

    def cancel(self) -> None:
        """Cancel the coroutine; callable in any thread. One that has begun may go on regardless; `wait` waits for it."""
        if self._drop(asyncio.CancelledError()):
            return
        try:
            self._loop.call_soon_threadsafe(self._cancel_task)
        except RuntimeError:
            return  # the loop is closed, and the coroutine gone with it

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _drop(self, error: BaseException) -> bool:
        """End a call that has not begun with an error; it will never begin. Return False if it has begun or ended."""
        try:
            coroutine = self._unbegun.pop()
        except IndexError:
            return False
        self._dropped = True
        coroutine.close()
        self._answer.reject(error)
        return True

    def never_ran(self) -> bool:
        """Return whether the coroutine has run no step and will run none; called once `wait` is over."""
        return self._drop(asyncio.CancelledError()) or self._dropped

    def give_up(self, error: BaseException) -> None:
        """End the wait with an error, and leave the coroutine to itself."""
        self._answer.reject(error)

    def fail(self, error: BaseException) -> None:
        """End the wait with an error: the loop is dead."""
        if not self._drop(error):
            self._answer.reject(error)

    def wait(self, timeout_s: float = -1) -> Any:
        """Return what the coroutine returned, or raise what it raised.

        Raises:
            TimeoutError: it has not ended within `timeout_s`; it can be waited for again.
        """
        return self._answer.wait(timeout_s)
