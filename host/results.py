"""Results: what became of a published message, waited for by whoever asks; and calling it off.

Which results are kept and for how long is the queue's rule.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from perdure.actors.context import plain_text
from perdure.events.commands import AwaitResult, Cancel
from perdure.events.errors import Cancelled, HandlerFailed
from perdure.events.seconds import seconds_or_none, wait_seconds
from perdure.future import PublishFuture
from perdure.moments import checked_id
from perdure.publishing import Publishing

if TYPE_CHECKING:
    from perdure.events.vocabulary import ResultKept

__all__ = ["Results"]


class Results(Publishing):
    """The part of `System` that waits for results; `call` publishes as well, so it stands on that part."""

    def call(self, message: Any, *, timeout: float | None = None, **options: Any) -> Any:
        """Publish a message and wait for what its handler returns; raises what the handler raised when it failed for good.

        Raises:
            HandlerFailed: as `result`.
            TimeoutError: no result within `timeout` seconds; the message is handled all the same.
            NotRunning, InvalidMessage and its kind: as `publish`.
        """
        wait_seconds("timeout", timeout)  # refused before anything is published
        options.setdefault("keep_result", self.options.result_kept_s)
        return self.result(self.publish(message, **options), timeout=timeout)

    async def acall(self, message: Any, *, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109 - as `call`
        """As `call`, from a coroutine. A cancelled await leaves the message to its handler.

        Raises:
            As `call`.
        """
        wait_s = seconds_or_none("timeout", timeout, above_zero=False)
        options.setdefault("keep_result", self.options.result_kept_s)
        ident = await self.apublish(message, **options)
        reply: PublishFuture[ResultKept] = PublishFuture()
        request = self.stage.desk.send("queue", AwaitResult(ident), reply)
        try:
            kept = await asyncio.wait_for(asyncio.wrap_future(reply), wait_s)
        except TimeoutError:
            self.stage.desk.forget(request)
            raise _not_ended(ident, timeout) from None
        except asyncio.CancelledError:
            self.stage.desk.forget(request)
            raise
        return self._result_of(kept)

    def result(self, id: str, *, timeout: float | None = None) -> Any:  # noqa: A002 - the front door's name
        """Give what the handler of a message returned that was published with `keep_result`; waits until it has ended.

        Raises:
            HandlerFailed: it ended without a result. In the process that ran the handler, its own exception is raised instead.
            Cancelled: it was cancelled.
            UnknownMessage: no result is kept for that id.
            TimeoutError: it has not ended within `timeout` seconds.
        """
        wait_s = wait_seconds("timeout", timeout)
        desk = self.stage.desk
        answer = self.stage.world.answer()
        request = desk.send("queue", AwaitResult(checked_id("id", id)), answer)
        try:
            kept = answer.wait(wait_s)
        except TimeoutError:
            desk.forget(request)
            raise _not_ended(id, timeout) from None
        return self._result_of(kept)

    def _result_of(self, kept: ResultKept) -> Any:
        if not kept.exception:
            return self.drafts.load_result(kept.value)
        if kept.exception == "perdure.Cancelled":
            msg = f"message {kept.id} was cancelled"
            raise Cancelled(msg, kept.id, kept.exception, kept.message)
        raised = self.stage.raised.pop(kept.id, None)
        if raised is not None:
            raise raised
        msg = f"message {kept.id} ended without a result: {kept.exception}: {kept.message}"
        raise HandlerFailed(msg, kept.id, kept.exception, kept.message)

    def cancel(self, id: str, reason: str = "cancelled by the host") -> bool:  # noqa: A002 - the front door's name
        """Call a message off, waiting or running; False where it had ended already, or is not known.

        A handler that runs sees `ctx.cancelled`; a coroutine is cancelled, a process killed if it has not ended within a second.
        Its result is not taken.

        Raises:
            NotRunning, StoreUnavailable: as `publish`.
        """
        return bool(self.ask("queue", Cancel(checked_id("id", id), plain_text(reason))))


def _not_ended(ident: str, timeout_s: float | None) -> TimeoutError:
    return TimeoutError(
        f"message {ident} has not ended within {timeout_s} s; it is still to be handled, and `result` can be asked again"
    )
