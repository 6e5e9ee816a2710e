"""Middleware: small parts round every publish and every handler call, all with one interface.

What a message is and when it is handled is not theirs; they see it pass, and may change, refuse, time or log it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from perdure.events.public_names import public

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from perdure.actors.workers.context import Context
    from perdure.events.commands import Draft

    Handle = Callable[[Any, Any], Any]
    MakeDraft = Callable[..., Draft]

__all__ = ["Middleware", "around_handle", "around_publish", "check_middleware"]


@public
class Middleware:
    """Base class; override what is needed. The first of `System(middleware=[...])` is the outermost.

    One object serves all threads: each method says in which it runs.
    """

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        """Wrap the making of a message, before anything is written. Runs in the publisher's thread; must not block a coroutine's.

        Args:
            message: what is published.
            options: the keyword options of `publish`, to be changed at will.
            call_next: goes on, and gives the message's id. Raising instead refuses the message.
        """
        return call_next(message, options)

    def handle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Any]) -> Any:
        """Wrap one call of a plain or process handler. Runs in the worker's thread; gives what the handler returns.

        Args:
            message: the decoded message; of a batch handler, the `Batch`.
            context: its context; of a batch handler, the `Batch` again.
            call_next: goes on. What it raises fails the attempt, unless caught here.
        """
        return call_next(message, context)

    async def ahandle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        """As `handle`, for coroutine handlers. Runs on the event loop."""
        return await call_next(message, context)


def check_middleware(parts: Sequence[Middleware]) -> None:
    """Refuse parts whose methods could not be called as they are.

    Raises:
        TypeError: a plain method was written as a coroutine function: nothing would await it.
    """
    for part in parts:
        for name in ("publish", "handle"):
            if inspect.iscoroutinefunction(getattr(part, name, None)):
                hint = "write `ahandle` for coroutine handlers" if name == "handle" else "it runs in the publisher's thread"
                msg = f"middleware: {type(part).__qualname__}.{name} must be a plain function, not `async def`; {hint}"
                raise TypeError(msg)


def around_publish(parts: Sequence[Middleware], make: MakeDraft) -> MakeDraft:
    """Put the parts that care round the making of drafts."""
    caring = [part for part in parts if type(part).publish is not Middleware.publish]
    if not caring:
        return make

    def made(message: Any, **options: Any) -> Draft:
        drafts: list[Draft] = []

        def innermost(message: Any, options: dict[str, Any]) -> str:
            drafts.append(make(message, **options))
            return drafts[-1].id

        call: Callable[[Any, dict[str, Any]], str] = innermost
        for part in reversed(caring):
            call = _bound(part.publish, call)
        ident = call(message, options)
        if not drafts or drafts[-1].id != ident:
            msg = "a middleware's publish must return what call_next gave it, or raise to refuse the message"
            raise TypeError(msg)
        return drafts[-1]

    return made


def around_handle(parts: Sequence[Middleware], handle: Handle, *, is_async: bool) -> Handle:
    """Put the parts that care round a handler."""
    method = "ahandle" if is_async else "handle"
    for part in reversed(parts):
        if getattr(type(part), method) is not getattr(Middleware, method):
            handle = _bound(getattr(part, method), handle)
    return handle


def _bound(step: Callable[[Any, Any, Any], Any], call_next: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda message, context: step(message, context, call_next)
