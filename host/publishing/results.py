"""Results and states of published messages: waiting for a result, looking at a state, cancelling.

The rules of which results are kept, and for how long, are in `perdure.events.queue.folding.retention`.
"""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.actors.core.texts import plain_text
from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.actors.execution.invocation import CALLER
from perdure.arguments.acting import own_act
from perdure.arguments.moments import checked_id
from perdure.events.commands import AwaitResult, Cancel, LookUp
from perdure.events.errors import Cancelled, HandlerFailed, UnknownMessageType
from perdure.events.keyword_options import shows
from perdure.events.public_names import with_public_names
from perdure.events.publish_options import DEFAULTS, PublishOptions
from perdure.events.queue.lookup import is_fate
from perdure.events.seconds import seconds_or_none, wait_seconds
from perdure.publishing.inner_calls import InnerCalls
from perdure.publishing.message_state import MessageState
from perdure.publishing.publish_future import PublishFuture
from perdure.publishing.publisher import Publishing

if TYPE_CHECKING:
    from typing import Unpack

    from perdure.events.vocabulary import ResultKept
    from perdure.payloads.returns import Returns

__all__ = ["Results"]

R = TypeVar("R")

LOOK_S = 0.01
"""How often to look whether a process handles a type by now."""


class Results(Publishing):
    """The part of `System` that waits for results; `call` publishes as well, so it stands on that part."""

    def _inner_calls(self) -> InnerCalls:
        """Return what this front door offers the other rooms of host/."""
        return InnerCalls(
            check_running=self._check_running,
            pending=lambda: self._pending,
            room=self._room,
            publish=self._publish,
            answer=self._aanswer,
            wait_or_look=self._wait_or_look,
            exception_of=self._exception_of,
            handled=lambda: self._handled,
            retries_of=self._retries_of,
        )

    @overload
    def call(self, message: Returns[R], *, timeout: float | None = None, **options: Unpack[PublishOptions]) -> R: ...

    @overload
    def call(self, message: object, *, timeout: float | None = None, **options: Unpack[PublishOptions]) -> Any: ...

    @shows(PublishOptions, defaults=DEFAULTS)
    def call(self, message: Any, *, timeout: float | None = None, **options: Unpack[PublishOptions]) -> Any:
        """Publish a message and return what its handler returns; raise what the handler raised if it failed for good.

        The result has the type that the message class declares with `Returns`, and is None where a batch handler or a manual
        consumer completed the message.

        Args:
            message: an object of a message class that something in this system handles.
            timeout: seconds to wait for the result, from when the message is on disk; None waits as long as it takes. The publish
                before takes as long as `publish`, and when the time is up, one more look is answered after what the disk is busy
                with. So on a disk that takes `d` seconds for a sync, a call may take `timeout` and twice `d`.
            options: those of `publish`.

        Raises:
            HandlerFailed: as `result`.
            TimeoutError: no result within `timeout` seconds; the message is handled all the same.
            UnknownMessageType: nothing here handles that type; nothing was published.
            WouldDeadlock: a handler calls, and no worker is left to answer; nothing was published.
            NotRunning, InvalidMessage and its subclasses: as `publish`.
        """
        wait_seconds("timeout", timeout)  # refused before anything is published
        name = self._called("call", message)
        until_s = time.monotonic() + self._handlers_settle_s
        while not self._is_handled(name) and time.monotonic() < until_s:
            time.sleep(LOOK_S)
        self._check_handled("call", name)
        self._check_may_block("call", "acall", [name])
        options.setdefault("keep_result", self.options.result_kept_s)
        with self._waiting_for(name):
            ident = self.publish(message, **options)
            return self._result_of(self._wait_or_look(ident, timeout))

    def _called(self, call: str, message: Any) -> str:
        """Return the name of the type of a message that is to be answered."""
        name = self.drafts.names.name(type(message))
        self._check_running()
        self._check_outside_hooks(call)
        return name

    def _is_handled(self, type_name: str) -> bool:
        return type_name in self._handled or type_name in self._checked_out_types

    def _check_handled(self, call: str, type_name: str) -> None:
        """Refuse a call of a type that nothing handles.

        Raises:
            UnknownMessageType: no answer would come.
        """
        if self._is_handled(type_name):
            return
        there = ", ".join(sorted(self._handled)) or "nothing"
        msg = (
            f"{call}: nothing here handles {type_name}, so it would wait for ever; there are handlers for: {there}. Register one, "
            "check it out by hand before you call, or publish with `keep_result=` and ask for `result` later"
        )
        raise UnknownMessageType(msg)

    @overload
    async def acall(self, message: Returns[R], *, timeout: float | None = None, **options: Unpack[PublishOptions]) -> R: ...  # noqa: ASYNC109 - as `call`

    @overload
    async def acall(self, message: object, *, timeout: float | None = None, **options: Unpack[PublishOptions]) -> Any: ...  # noqa: ASYNC109 - as `call`

    @shows(PublishOptions, defaults=DEFAULTS)
    async def acall(
        self,
        message: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as `call`
        **options: Unpack[PublishOptions],
    ) -> Any:
        """As `call`, from a coroutine. A cancelled await leaves the message to its handler.

        Raises:
            As `call`.
        """
        wait_s = seconds_or_none("timeout", timeout, above_zero=False)
        await self._ready()
        name = self._called("acall", message)
        until_s = time.monotonic() + self._handlers_settle_s
        while not self._is_handled(name) and time.monotonic() < until_s:  # noqa: ASYNC110 - the owner's words come in another thread
            await asyncio.sleep(LOOK_S)
        self._check_handled("acall", name)
        options.setdefault("keep_result", self.options.result_kept_s)
        with self._waiting_for(name):
            ident = await self.apublish(message, **options)
            try:
                kept = await asyncio.wait_for(self._aanswer(AwaitResult(ident), is_long_wait=True), wait_s)
            except TimeoutError:
                raise _not_ended(ident, wait_s) from None
        return self._result_of(kept)

    def result(self, id: str, *, timeout: float | None = None) -> Any:
        """Return what the handler of a message returned, once the message has ended; for messages published with `keep_result`.

        Asking again gives the same answer for as long as the result is kept.

        Args:
            id: the message's id.
            timeout: seconds to wait; None waits as long as it takes, 0 looks once. When it is up, one more look is answered after
                what the disk is busy with.

        Raises:
            HandlerFailed: the message ended without a result. In the process that ran the handler, its own exception is raised.
            Cancelled: the message was cancelled.
            UnknownMessage: no result is kept for that id.
            TimeoutError: the message has not ended within `timeout` seconds.
        """
        wait_s = wait_seconds("timeout", timeout)
        ident = checked_id("id", id)
        self._permit_look(ident)
        if wait_s and CALLER.get() is not None:
            with self._waiting_for(self._waits_for(ident)):
                return self._result_of(self._wait_or_look(ident, timeout))
        return self._result_of(self._wait_or_look(ident, timeout))

    def _waits_for(self, ident: str) -> str:
        """Return the type of a message that has not ended; empty, which no handler waits for, where it has."""
        looked = self.ask("queue", LookUp(ident))
        return "" if looked.message is None else str(looked.type)

    def _wait_or_look(self, ident: str, timeout: float | None) -> ResultKept:
        wait_s = wait_seconds("timeout", timeout)
        kept = None if wait_s == 0 else self._wait_for_result(ident, wait_s)
        if kept is None:  # time is up: one look without waiting
            kept = self.ask("queue", AwaitResult(ident, waits=False))
        if kept is None:
            raise _not_ended(ident, wait_s)
        return kept

    def _wait_for_result(self, ident: str, wait_s: float) -> ResultKept | None:
        pending, answer = self._pending_and_answer()
        request = pending.send("queue", AwaitResult(ident), answer, is_long_wait=True)
        try:
            kept: ResultKept = answer.wait(wait_s)
        except TimeoutError:
            pending.forget(request)
            return None
        return kept

    async def _aanswer(self, command: object, *, is_long_wait: bool = False) -> Any:
        """Ask the queue from a coroutine and return its answer. A cancelled wait leaves nothing behind."""
        check_may_wait()
        await self._ready()
        pending = self._pending
        reply: PublishFuture[Any] = PublishFuture()
        request = pending.send("queue", command, reply, is_long_wait=is_long_wait)
        try:
            return await asyncio.wrap_future(reply)
        except asyncio.CancelledError:
            pending.forget(request)
            raise

    def state(self, id: str) -> MessageState:
        """Return where a message is now, without waiting. An unknown id is no error: the state has `known` False.

        Raises:
            NotRunning, StoreUnavailable: as `publish`.
            InvalidMessage: `id` is not an id.
        """
        ident = checked_id("id", id)
        looked = self.ask("queue", LookUp(ident))
        self.permit("look", lambda: [str(looked.type)])
        return MessageState.of(ident, looked)

    async def astate(self, id: str) -> MessageState:
        """As `state`, from a coroutine; does not block the event loop.

        Raises:
            As `state`.
        """
        ident = checked_id("id", id)
        looked = await self._aanswer(LookUp(ident))
        self.permit("look", lambda: [str(looked.type)])
        return MessageState.of(ident, looked)

    def _permit_look(self, ident: str) -> None:
        """Refuse a principal that may not look at messages of this one's type."""
        self.permit("look", lambda: [str(self.ask("queue", LookUp(ident)).type)])

    def _result_of(self, kept: ResultKept) -> Any:
        if not kept.exception:
            return self.drafts.load_result(kept.value, kept.id)
        if kept.exception == "perdure.Cancelled" and is_fate(kept):
            msg = f"message {kept.id} was cancelled"
            raise Cancelled(msg, kept.id, kept.exception, kept.message)
        raised = self._exception_of(kept.id)
        if raised is not None:
            raise _again(raised)
        exception = with_public_names(kept.exception)
        msg = f"message {kept.id} ended without a result: {exception}: {kept.message}"
        raise HandlerFailed(msg, kept.id, exception, kept.message)

    def cancel(self, id: str, reason: str = "cancelled by the host") -> bool:
        """Cancel a message that waits or runs; return False where it had ended already, or is unknown.

        A running handler sees `ctx.cancelled`; a coroutine is cancelled; a process is killed if it has not ended within a second.
        The handler's result is not taken. Within `acting_as`, the log records who cancelled it.

        Args:
            id: the message's id.
            reason: why, for the record and for a caller that waits for the result.

        Raises:
            NotRunning, StoreUnavailable: as `publish`.
            NotAllowed: within `acting_as`, and from another process: the system's `authorize` refuses it.
        """
        ident = checked_id("id", id)
        self.permit("cancel", lambda: [str(self.ask("queue", LookUp(ident)).type)])
        return bool(self.ask("queue", Cancel(ident, plain_text(reason), own_act("cancel", ident))))


def _not_ended(ident: str, timeout_s: float | None) -> TimeoutError:
    return TimeoutError(
        f"message {ident} has not ended within {timeout_s} s; it is still to be handled, and `result` can be asked again"
    )


def _again(error: BaseException) -> BaseException:
    """Return a copy of a handler's exception, so that tracebacks do not mix; the exception itself where it cannot be copied."""
    try:
        made = copy.copy(error)
        if type(made) is not type(error) or made.args != error.args:
            return error
    except Exception:  # noqa: BLE001 - copying an object of a foreign class may raise anything
        return error
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made.with_traceback(error.__traceback__)
