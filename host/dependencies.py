"""What a handler asks for beyond message and context, taken from the host's svcs registry, once for each message.

A container is opened for each call and closed after it, whatever became of the call. The registry is the host's own; svcs is
only imported where one is given.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from perdure.actors.context import Context
from perdure.events.errors import InvalidMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import svcs

    Handle = Callable[[Any, Any], Any]

__all__ = ["adapt"]


def adapt(handler: Any, registry: svcs.Registry | None, *, takes: int = 2) -> tuple[Handle, bool, bool]:
    """Make `(message, context)` of a function or a class with a `handle` method.

    Args:
        handler: takes the message, the context if it wants it, and whatever services it names by annotation; a class takes its
            services in `__init__`, and a new instance handles each message.
        registry: where services come from.
        takes: how many of the arguments are the system's: 2, or 1 for a batch.

    Returns:
        what to call, whether it is a coroutine function, and whether it gets services.

    Raises:
        InvalidMessage: it takes something that is no service, or there is no registry.
    """
    if inspect.isclass(handler):
        call = getattr(handler, "handle", None)
        if call is None:
            msg = f"handler: the class {handler.__qualname__} has no method `handle(message, context)`"
            raise InvalidMessage(msg)
        needs = _needs(handler, list(inspect.signature(handler).parameters.values()))
        own = _positional(call)[1:]
        _check_takes_message(handler, call, 2)
        plain = _made(_method(handler), len(own) >= takes, takes)
    else:
        call = handler
        _check_takes_message(handler, call, 1)
        own = _positional(handler)
        needs = _needs(handler, own[takes:])
        plain = _made(lambda services: _with(handler, services), len(own) >= takes, takes)
        if not needs and len(own) == takes == 2:  # noqa: PLR2004 - it is called as it is
            return handler, inspect.iscoroutinefunction(handler), False
    is_async = inspect.iscoroutinefunction(call)
    if not needs:
        return (lambda message, context: plain({}, message, context)), is_async, False
    if registry is None:
        names = ", ".join(kind.__qualname__ for kind in needs.values())
        msg = f"handler: {handler.__qualname__} asks for {names}; give the system a registry: System(..., registry=svcs.Registry())"
        raise InvalidMessage(msg)
    return (_in_async_scope if is_async else _in_scope)(registry, needs, plain), is_async, True


def _check_takes_message(handler: Any, call: Any, arguments: int) -> None:
    """Refuse what could not be called with a message (and, of a method, its own object): it would fail each one."""
    try:
        inspect.signature(call).bind_partial(*range(arguments))
    except ValueError:  # some callables of C have no signature
        return
    except TypeError:
        msg = f"handler: {getattr(handler, '__qualname__', handler)} takes no argument for the message"
        raise InvalidMessage(msg) from None


def _positional(call: Any) -> list[inspect.Parameter]:
    """Give the parameters that must be given."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # some callables of C have no signature; they get what handlers get
        parameters = inspect.signature(lambda message, context: None).parameters.values()  # noqa: ARG005
    return [p for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]


def _needs(handler: Any, parameters: list[inspect.Parameter]) -> dict[str, type]:
    """Give the services that parameters ask for, by name."""
    function = handler.__init__ if inspect.isclass(handler) else handler
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    needs: dict[str, type] = {}
    for parameter in parameters:
        if parameter.default is not inspect.Parameter.empty:
            continue
        wanted = parameter.annotation
        if isinstance(wanted, str):
            try:
                wanted = eval(wanted, scope)  # noqa: S307 - the host's own annotation, as `typing.get_type_hints` would
            except NameError as error:
                msg = f"handler: {handler.__qualname__} asks for {parameter.name}: {wanted}, which cannot be found: {error}"
                raise InvalidMessage(msg) from error
        if not isinstance(wanted, type) or wanted is inspect.Parameter.empty:
            msg = f"handler: {handler.__qualname__} takes {parameter.name!r}, which names no service by its annotation"
            raise InvalidMessage(msg)
        needs[parameter.name] = wanted
    return needs


def _method(handler: Any) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    return lambda services: handler(**services).handle


def _with(handler: Any, services: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda *arguments: handler(*arguments, **services)


def _made(make: Callable[[Mapping[str, Any]], Callable[..., Any]], wants_context: bool, takes: int) -> Callable[..., Any]:  # noqa: FBT001
    if wants_context and takes == 2:  # noqa: PLR2004 - message and context
        return lambda services, message, context: make(services)(message, context)
    return lambda services, message, context: make(services)(message)  # noqa: ARG005 - it takes none


def _in_scope(registry: svcs.Registry, needs: Mapping[str, type], plain: Callable[..., Any]) -> Handle:
    import svcs  # noqa: PLC0415 - an extra; whoever gives a registry has it

    def handle(message: Any, context: Any) -> Any:
        with svcs.Container(registry) as container:
            container.register_local_value(Context, context)
            return plain({name: container.get(kind) for name, kind in needs.items()}, message, context)

    return handle


def _in_async_scope(registry: svcs.Registry, needs: Mapping[str, type], plain: Callable[..., Any]) -> Handle:
    import svcs  # noqa: PLC0415 - as above

    async def handle(message: Any, context: Any) -> Any:
        async with svcs.Container(registry) as container:
            container.register_local_value(Context, context)
            services: dict[str, Any] = {name: await container.aget(kind) for name, kind in needs.items()}
            return await plain(services, message, context)

    return handle
