"""Middleware: small parts around each publish and each handler call, all with one interface.

A part sees each message pass, and may change, refuse, time or log it. When a message is handled is decided elsewhere
(`perdure.events`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.arguments.parts import check_has
from perdure.events.public_names import public
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from perdure.actors.workers.context import Context
    from perdure.events.commands import Draft

    Handle = Callable[[Any, Any], Any]
    MakeDraft = Callable[..., Draft]
    Send = Callable[[Sequence[Any], Callable[[], Any]], Any]
    Receive = Callable[[str, Callable[[], Any]], Any]
    Settle = Callable[[Any, str, Callable[[], None]], None]

__all__ = [
    "Middleware",
    "are_idle",
    "around_handle",
    "around_publish",
    "around_receive",
    "around_send",
    "around_settle",
    "check_middleware",
]


@public
class Middleware:
    """Base class; override what is needed. The first of `System(middleware=[...])` is the outermost.

    One object serves all threads: each method says in which it runs.
    """

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        """Wrap the making of a message, before anything is written. Runs in the publisher's thread; must not block a coroutine's.

        Args:
            message: what is published.
            options: the keyword options of `publish`; may be changed.
            call_next: continues, and returns the message's id, which this method returns too. To refuse the message, raise instead.
        """
        return call_next(message, options)

    def send(self, messages: Sequence[Any], call_next: Callable[[], Any]) -> Any:  # noqa: ARG002 - for those that override it
        """Wrap one call that publishes, from the making of its messages to its answer. Runs in its thread; must not block.

        What a handler, a schedule or an outbox publishes is no such call: it is committed with something else.

        Args:
            messages: what the call publishes; one, unless it is `publish_many`.
            call_next: continues: `publish` is called for each message, and the call publishes them. It returns what this method
                returns too: an id, a list of ids, or of `submit` a future of the id.
        """
        return call_next()

    def receive(self, type_name: str, call_next: Callable[[], Any]) -> Any:  # noqa: ARG002 - as `send`
        """Wrap one `checkout`. Runs in the caller's thread.

        Args:
            type_name: the name of the type that is asked for.
            call_next: continues, and returns the delivery that this method returns too, or None where there is none.
        """
        return call_next()

    def settle(self, delivery: Any, operation: str, call_next: Callable[[], None]) -> None:  # noqa: ARG002 - as `send`
        """Wrap what ends a delivery by hand. Runs in the caller's thread. What a handler's return ends is in `handle`.

        Args:
            delivery: the `perdure.Delivery` that `checkout` gave.
            operation: `ack`, `requeue` or `reject`.
            call_next: continues; the delivery is settled once it returns.
        """
        call_next()

    def is_idle(self) -> bool:
        """Return whether `publish` would change nothing now. While all parts say so, publishing goes its short ways past them.

        Called at each call that publishes, in its thread. A subclass that overrides `publish` or `send` overrides this too, or
        is never idle.
        """
        return False

    def handle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Any]) -> Any:
        """Wrap one call of a plain or process handler, and return what the handler returns. Runs in the worker's thread.

        Args:
            message: the decoded message; of a batch handler, the `Batch`.
            context: its context; of a batch handler, the `Batch` again.
            call_next: continues. An exception that it raises fails the attempt, unless it is caught here.
        """
        return call_next(message, context)

    async def ahandle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        """As `handle`, for coroutine handlers. Runs on the event loop."""
        return await call_next(message, context)


def check_middleware(given: Iterable[Middleware]) -> tuple[Middleware, ...]:
    """Return the parts, whose methods can all be called.

    Raises:
        TypeError: one is no object of a `Middleware`, or a plain method is a coroutine function, which nothing would await.
    """
    if not isinstance(given, Iterable):
        msg = f"middleware: a list of Middleware objects, not {shown(given)}"
        raise TypeError(msg)
    parts = tuple(given)  # once: an iterator would be empty for the next reader
    for part in parts:
        check_has("middleware", part, "objects of perdure.Middleware", ("publish", "send", "handle", "ahandle"))
        for name in ("publish", "send", "receive", "settle", "handle"):
            if inspect.iscoroutinefunction(getattr(part, name, None)):
                hint = "write `ahandle` for coroutine handlers" if name == "handle" else "it runs in the caller's thread"
                msg = f"middleware: {type(part).__qualname__}.{name} must be a plain function, not `async def`; {hint}"
                raise TypeError(msg)
    return parts


def around_publish(parts: Sequence[Middleware], make: MakeDraft) -> MakeDraft:
    """Return `make` with the `publish` methods of these parts around it."""
    overriding = [part for part in parts if type(part).publish is not Middleware.publish]
    if not overriding:
        return make

    def made(message: Any, **options: Any) -> Draft:
        drafts: list[Draft] = []

        def innermost(message: Any, options: dict[str, Any]) -> str:
            drafts.append(make(message, **options))
            return drafts[-1].id

        call: Callable[[Any, dict[str, Any]], str] = innermost
        for part in reversed(overriding):
            call = _bound(part.publish, call)
        ident = call(message, options)
        if not drafts or drafts[-1].id != ident:
            msg = "a middleware's publish must return what call_next gave it, or raise to refuse the message"
            raise TypeError(msg)
        return drafts[-1]

    return made


def around_send(parts: Sequence[Middleware]) -> Send | None:
    """Return a function of messages and what publishes them, with the `send` methods of these parts around it; None without any."""
    return _around(parts, "send")


def around_receive(parts: Sequence[Middleware]) -> Receive | None:
    """Return a function of a type's name and what checks out, with the `receive` methods of these parts; None without any."""
    return _around(parts, "receive")


def around_settle(parts: Sequence[Middleware]) -> Settle | None:
    """Return a function of a delivery, what is to end it and how, with the `settle` methods of these parts; None without any."""
    return _around(parts, "settle")


def _around(parts: Sequence[Middleware], name: str) -> Callable[..., Any] | None:
    """Return a function that calls these parts' methods of a name, the first outermost; None where no part overrides it.

    A part need not be a `Middleware`, nor have the method. The last argument of the function is what the innermost one calls.
    """
    plain = getattr(Middleware, name)
    overriding = [part for part in parts if getattr(type(part), name, plain) is not plain]
    if not overriding:
        return None

    def around(*arguments: Any) -> Any:
        *given, call_next = arguments
        for part in reversed(overriding):
            call_next = partial(getattr(part, name), *given, call_next)
        return call_next()

    return around


def are_idle(parts: Sequence[Middleware]) -> bool:
    """Return whether no part would change what is published now."""
    return all(type(part).publish is Middleware.publish or (_speaks_for_publish(type(part)) and part.is_idle()) for part in parts)


def _speaks_for_publish(cls: type) -> bool:
    """Return whether `is_idle` knows the `publish` and `send` of this class: not where a subclass overrides only these."""
    for base in cls.__mro__:
        own = vars(base)
        if "is_idle" in own:
            return True
        if "publish" in own or "send" in own:
            return False
    return False


def around_handle(parts: Sequence[Middleware], handle: Handle, *, is_async: bool) -> Handle:
    """Return `handle` with the `handle` or `ahandle` methods of these parts around it."""
    method = "ahandle" if is_async else "handle"
    for part in reversed(parts):
        if getattr(type(part), method) is not getattr(Middleware, method):
            handle = _bound(getattr(part, method), handle)
    return handle


def _bound(step: Callable[[Any, Any, Any], Any], call_next: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda message, context: step(message, context, call_next)
