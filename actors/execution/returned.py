"""What a handler returned: a value, something to be awaited, or something that never ran.

Where an awaitable is awaited is in `invocation` (on the event loop) and in `child_main` (in the child).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import itertools
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["awaited", "check_ran", "is_awaitable"]

NESTED_MAX = 16
"""How many awaitables may be nested, each the result of the one before."""
_LAZY = (map, filter, zip, enumerate, itertools.chain, itertools.starmap)
"""Iterators that run what they were given only while they are iterated over."""


def is_awaitable(value: Any) -> TypeGuard[Awaitable[Any] | concurrent.futures.Future[Any]]:
    """Return whether the work is still to be waited for: a coroutine, any other awaitable, or an executor's future."""
    return inspect.isawaitable(value) or isinstance(value, concurrent.futures.Future)


def check_ran(value: Any) -> Any:
    """Return a handler's value, where it is one.

    Raises:
        TypeError: it is a generator or another iterator, whose code runs only when it is iterated over, or a coroutine function
            that nothing called: the handler did nothing.
    """
    if inspect.isgenerator(value) or inspect.isasyncgen(value) or isinstance(value, _LAZY):
        kind = "an async generator" if inspect.isasyncgen(value) else f"a {type(value).__name__}"
    elif inspect.iscoroutinefunction(value):
        msg = (
            f"the handler returned the function {value.__qualname__} and did not call it, so it has not run. Return "
            f"{value.__name__}(...), with the message."
        )
        raise TypeError(msg)
    elif inspect.isgenerator(getattr(value, "gen", None)) or inspect.isasyncgen(getattr(value, "gen", None)):
        kind = "a context manager that nothing entered"
    else:
        return value
    msg = (
        f"the handler returned {kind}, so its code has not run: nothing iterates over it. Do the work in the handler itself "
        "(a function without `yield`), and return a value or None."
    )
    raise TypeError(msg)


async def awaited(value: Any) -> Any:
    """Return the value of an awaitable; where that is an awaitable too, await it in turn. Runs on the event loop.

    Raises:
        TypeError: the value never ran, belongs to a loop that does not run, or is one awaitable after the other.
        Whatever the awaitable raises.
    """
    for _ in range(NESTED_MAX):
        if isinstance(value, concurrent.futures.Future):
            value = await asyncio.wrap_future(value)
        elif isinstance(value, asyncio.Future) and value.get_loop() is not asyncio.get_running_loop():
            value = await asyncio.wrap_future(_on_its_loop(value))
        elif inspect.isawaitable(value):
            value = await value
        else:
            return check_ran(value)
    msg = f"the handler returned awaitables that give further ones, {NESTED_MAX} deep"
    raise TypeError(msg)


def _on_its_loop(future: asyncio.Future[Any]) -> concurrent.futures.Future[Any]:
    """Wait for a future on the loop that it belongs to; return a future of that wait."""
    loop = future.get_loop()
    if not loop.is_running():
        msg = "the handler returned a future of an event loop that does not run, so nothing will ever complete it"
        raise TypeError(msg)

    async def wait() -> Any:
        return await future

    return asyncio.run_coroutine_threadsafe(wait(), loop)
