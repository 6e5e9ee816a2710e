"""`Handlers`: handlers, schedules and hooks that are declared without a System at hand, and included in one, or in several.

The signatures of the decorators are in `declaring`. What a System makes of what it includes is in `decorators`.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from perdure.events.errors import InvalidMessage
from perdure.events.keyword_options import keyword_options, no_such_option
from perdure.events.public_names import public
from perdure.events.seconds import shown
from perdure.handling.declaring import Declaring
from perdure.handling.options.handler_options import DEFAULTS, check_options
from perdure.handling.recurring.schedules import Tick
from perdure.handling.signatures import check_hook, label_of, read
from perdure.payloads.type_names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.handling.declaring import Ticks

    Declaration = Callable[[Declaring], object]

__all__ = ["Handlers"]


@public
class Handlers(Declaring):
    """Handlers of an application that has no System yet, with the decorators of a `System` and all their options.

    `system.include(handlers)` registers all of them, those too that are declared later. Any number of systems may include them: the
    application's own, and a `perdure.chaos.SimulatedSystem` in each of its tests. Options and signatures are checked where they are
    written; what depends on a system, such as two handlers of one type, where it includes them. Declare and include in one thread.
    """

    def __init__(self) -> None:
        self._declared: list[Declaration] = []
        self._types: dict[str, str] = {}
        """By message type: the label of its handler here."""
        self._included_by: weakref.WeakSet[Declaring] = weakref.WeakSet()

    def __repr__(self) -> str:
        """Show the types that they handle."""
        return f"<perdure.Handlers of {', '.join(sorted(self._types)) or 'nothing'}>"

    def include(self, handlers: Handlers) -> Handlers:
        """Take over all that other handlers declare, now and later; return those.

        Raises:
            InvalidMessage: both have a handler of one type, or one includes the other already.
            TypeError: these are not `Handlers`.
        """
        if not isinstance(handlers, Handlers):
            raise TypeError(f"handlers: an object of perdure.Handlers, not {shown(handlers)}")
        handlers.enter_into(self)
        return handlers

    def enter_into(self, includes: Declaring) -> None:
        """Declare all of these in a System, or in other handlers; for `include`. If one is refused, those before it stay.

        Raises:
            InvalidMessage: the other refuses one, or includes these already.
        """
        if includes in self._included_by or includes is self or (isinstance(includes, Handlers) and self._has(includes)):
            raise InvalidMessage(f"include: {includes!r} has {self!r} already")
        for declare in self._declared:
            declare(includes)
        self._included_by.add(includes)

    def _has(self, other: Handlers) -> bool:
        """Return whether these include others, directly or not."""
        return any(inner is self or (isinstance(inner, Handlers) and self._has(inner)) for inner in other._included_by)

    def _declare(self, declare: Declaration) -> None:
        self._declared.append(declare)
        for includes in list(self._included_by):
            declare(includes)

    def _handler(self, cls: type, options: Mapping[str, Any], *, replace: bool) -> Any:
        _check("handler", options)
        name_of(cls)

        def register(handler: Any) -> Any:
            read(handler, 2, cls)
            self._take(cls, handler, replace=replace)
            self._declare(lambda includes: includes._handler(cls, options, replace=replace)(handler))  # noqa: SLF001 - of `Declaring`
            return handler

        return register

    def _batch_handler(self, cls: type, options: Mapping[str, Any], batch: Mapping[str, Any], *, replace: bool) -> Any:
        _check("batch_handler", options)
        name_of(cls)

        def register(handler: Any) -> Any:
            read(handler, 1, cls)
            self._take(cls, handler, replace=replace)
            self._declare(lambda includes: includes._batch_handler(cls, options, batch, replace=replace)(handler))  # noqa: SLF001 - as above
            return handler

        return register

    def _take(self, cls: type, handler: Any, *, replace: bool) -> None:
        name = name_of(cls)
        if name in self._types and not replace:
            msg = f"type: {name} has a handler already, {self._types[name]}; a type has one"
            raise InvalidMessage(msg)
        self._types[name] = label_of(handler)

    def _every_message(self, ticks: Ticks, message: Any, options: dict[str, Any]) -> None:
        self._declare(lambda includes: includes._every_message(ticks, message, dict(options)))  # noqa: SLF001 - as above

    def _every_tick(self, ticks: Ticks, options: Mapping[str, Any]) -> Any:
        _check("every", options)

        def register(handler: Any) -> Any:
            read(handler, 2, Tick)
            self._declare(lambda includes: includes._every_tick(ticks, options)(handler))  # noqa: SLF001 - as above
            return handler

        return register

    def _on_start(self, hook: Callable[[], Any]) -> None:
        check_hook(hook)
        self._declare(lambda includes: includes._on_start(hook))  # noqa: SLF001 - as above

    def _on_stop(self, hook: Callable[[], Any]) -> None:
        check_hook(hook)
        self._declare(lambda includes: includes._on_stop(hook))  # noqa: SLF001 - as above


def _check(call: str, options: Mapping[str, Any]) -> None:
    """Refuse options that no system would take."""
    if unknown := options.keys() - DEFAULTS.keys():
        raise TypeError(no_such_option(call, min(unknown), keyword_options(getattr(Declaring, call))))
    check_options(options)
