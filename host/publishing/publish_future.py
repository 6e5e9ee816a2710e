"""The future of a publish: a `concurrent.futures.Future` that costs a tenth of the standard one until a thread waits for it.

The standard future makes a Condition at once, which is a third of the cost of submitting a message; this one makes it when it is
first needed. It behaves as the standard library says, with `wait`, `as_completed` and asyncio's `wrap_future` too.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.actors.core.actor import ActorKilled
from perdure.actors.core.threads.current_actor import CURRENT, check_may_wait
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PublishFuture"]

T = TypeVar("T")
PENDING, CANCELLED, FINISHED = "PENDING", "CANCELLED_AND_NOTIFIED", "FINISHED"
"""States as the standard library spells them, because its functions read them."""

logger = GuardedLogger("perdure")


class _Condition(threading.Condition):
    """A condition whose lock can be taken alone: an actor killed while it enters a Condition would hold that for ever."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        super().__init__(self.mutex)


_MADE_LATE: dict[str, Callable[[], Any]] = {"_condition": _Condition, "_waiters": list, "_done_callbacks": list, "_notified": list}
"""Attributes that are made when they are first needed. `_notified`: the waiters that have been notified."""


class PublishFuture(Future[T]):
    """Resolves to `value` once its message is on disk; without a value, to the answer itself.

    It is also a `Reply`: `resolve` and `reject` may come from any thread, and more than once; the first call counts. Each step
    below is a single operation of a dict or a list, so a reader without the standard future's lock sees a consistent state.
    """

    _state = PENDING
    _result: Any = None
    _exception = None

    def __init__(self, value: T | None = None) -> None:
        # The standard future's `__init__` is not called: `__getattr__` makes its attributes when they are needed.
        self._value = value

    def __getattr__(self, name: str) -> Any:
        """Make an attribute that only waiting needs, when it is first read."""
        make = _MADE_LATE.get(name)
        if make is None:
            raise AttributeError(name)
        return self.__dict__.setdefault(name, make())

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        own = self.__dict__
        # One step keeps the first outcome, so that if this thread is killed on the way, a repeated call completes it.
        outcome = (FINISHED, value if self._value is None else self._value, None)
        state, own["_result"], own["_exception"] = own.setdefault("_outcome", outcome)
        own["_state"] = state
        if "_condition" in own or "_done_callbacks" in own:
            self._notify()

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._end((FINISHED, None, error))

    def cancel(self) -> bool:
        """Cancel the wait, not the message; return whether the future is cancelled now."""
        self._end((CANCELLED, None, None))
        return self._state == CANCELLED

    def _end(self, outcome: tuple[str, Any, BaseException | None]) -> None:
        state, self._result, self._exception = self.__dict__.setdefault("_outcome", outcome)
        self._state = state
        self._notify()

    def _notify(self) -> None:
        # The state is set before the waiters are read; a new waiter registers before it reads the state. So no waiter is missed.
        condition = self.__dict__.get("_condition")
        if condition is not None:
            with condition.mutex:
                for waiter in self._waiters:
                    if waiter not in self._notified:
                        add = waiter.add_cancelled if self._state == CANCELLED else waiter.add_result
                        (add if self._exception is None else waiter.add_exception)(self)
                        self._notified.append(waiter)
                condition.notify_all()
        if "_done_callbacks" in self.__dict__:
            self._call_back()

    def _call_back(self) -> None:
        callbacks = self._done_callbacks
        while callbacks:
            try:
                callback = callbacks.pop(0)
            except IndexError:
                return  # another thread took the last callback
            actor = CURRENT.actor
            if actor is not None:
                actor.in_callback = True
            try:
                callback(self)
            except BaseException as error:
                if isinstance(error, ActorKilled):
                    callbacks.insert(0, callback)  # the next call that ends the future repeats it
                    raise
                if (actor is None or actor.runs_handlers) and not isinstance(error, Exception):
                    raise  # a thread of the host or of its handler, for which KeyboardInterrupt or a timeout is meant
                logger.exception("a callback of the future of a publish failed")
            finally:
                if actor is not None:
                    actor.in_callback = False

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """See `Future.add_done_callback`."""
        self._done_callbacks.append(fn)
        if self._state != PENDING:
            self._call_back()

    def done(self) -> bool:
        """See `Future.done`."""
        return self._state != PENDING

    def cancelled(self) -> bool:
        """See `Future.cancelled`."""
        return self._state == CANCELLED

    def running(self) -> bool:
        """See `Future.running`: False, as a publish cannot be observed under way."""
        return False

    def result(self, timeout: float | None = None) -> T:
        """See `Future.result`."""
        if self._state == FINISHED and self._exception is None:
            result: T = self._result
            return result
        if self._state == PENDING and timeout != 0:
            check_may_wait()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `Future.exception`."""
        if self._state == PENDING and timeout != 0:
            check_may_wait()
        return self._exception if self._state == FINISHED else super().exception(timeout)

    def orphan(self, error: BaseException) -> None:
        """Fail in a forked child without the locks and callbacks of the parent's threads, which do not exist there."""
        own = self.__dict__
        own.pop("_condition", None)
        own["_done_callbacks"] = []
        self._state, self._result, self._exception = own.setdefault("_outcome", (FINISHED, None, error))
