"""Handler calls inside a wrapper (a middleware, a container of services), which ends only when the handler's work has ended."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from perdure.actors.execution.invocation import CALLER
from perdure.actors.workers.context import deliveries_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["finishing"]


def finishing(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a plain handler whose call waits for the awaitable that the handler returns, if it returns one.

    A wrapper round it then ends after the work, not before it.
    """

    def finished(message: Any, context: Any) -> Any:
        value = call(message, context)
        caller = CALLER.get()
        if value is None or caller is None:
            return value
        return caller.finish(value, copy_context(), deliveries_of(context))

    return finished
