"""Services: what a handler asks for beyond message and context, taken from the host's svcs registry for each message.

A container is opened for each call and closed after it, also when the call fails. svcs is only imported where a registry is given.
Which services a handler asks for is read in `signatures`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from perdure.actors.execution.returned import awaited
from perdure.actors.workers.context import Context
from perdure.actors.workers.finishing import finishing
from perdure.events.errors import InvalidMessage
from perdure.handling.signatures import label_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import svcs

    Handle = Callable[[Any, Any], Any]

__all__ = ["adapt"]

MESSAGE_AND_CONTEXT = 2
"""How many arguments a handler takes that wants both."""


def adapt(
    handler: Any, registry: svcs.Registry | None, *, takes: int = 2, message_type: type | None = None
) -> tuple[Handle, bool, bool]:
    """Return a function of `(message, context)` for a handler that is a function or a class with a `handle` method.

    Args:
        handler: takes the message, the context if it wants it, and services by annotation. A class takes its services in
            `__init__`, and a new object handles each message.
        registry: the source of services.
        takes: how many arguments the system passes: 2, or 1 for a batch.
        message_type: the type for which it is registered.

    Returns:
        the function, whether it is a coroutine function, and whether it gets services.

    Raises:
        InvalidMessage: the handler cannot be called so, takes something that is not a service, or there is no registry.
    """
    signature = read(handler, takes, message_type)
    needs = signature.services
    make = _method(handler) if inspect.isclass(handler) else lambda services: _with(handler, services)
    if not inspect.isclass(handler) and not needs and signature.arguments == takes == MESSAGE_AND_CONTEXT:
        return handler, signature.is_async, False  # called as it is
    plain = _made(make, signature.arguments, signature.context_name)
    if not needs:
        return (lambda message, context: plain({}, message, context)), signature.is_async, False
    if registry is None:
        names = ", ".join(kind.__qualname__ for kind in needs.values())
        msg = f"handler: {label_of(handler)} asks for {names}; give the system a registry: System(..., registry=svcs.Registry())"
        raise InvalidMessage(msg)
    return (_in_async_scope if signature.is_async else _in_scope)(registry, needs, plain), signature.is_async, True


def _method(handler: Any) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    return lambda services: handler(**services).handle


def _with(handler: Any, services: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda *arguments, **named: handler(*arguments, **named, **services)


def _made(make: Callable[[Mapping[str, Any]], Callable[..., Any]], arguments: int, context_name: str | None) -> Callable[..., Any]:
    if arguments == MESSAGE_AND_CONTEXT:
        return lambda services, message, context: make(services)(message, context)
    if context_name is not None:
        return lambda services, message, context: make(services)(message, **{context_name: context})
    return lambda services, message, _context: make(services)(message)


def _in_scope(registry: svcs.Registry, needs: Mapping[str, type], plain: Callable[..., Any]) -> Handle:
    import svcs  # noqa: PLC0415 - an extra; a host with a registry has it installed

    def handle(message: Any, context: Any) -> Any:
        with svcs.Container(registry) as container:
            container.register_local_value(Context, context)
            services: dict[str, Any] = {name: container.get(kind) for name, kind in needs.items()}
            return finishing(lambda message, context: plain(services, message, context))(message, context)

    return handle


def _in_async_scope(registry: svcs.Registry, needs: Mapping[str, type], plain: Callable[..., Any]) -> Handle:
    import svcs  # noqa: PLC0415 - as above

    async def handle(message: Any, context: Any) -> Any:
        async with svcs.Container(registry) as container:
            container.register_local_value(Context, context)
            services: dict[str, Any] = {name: await container.aget(kind) for name, kind in needs.items()}
            return await awaited(plain(services, message, context))

    return handle
