"""`lifespan` starts and stops systems, clients and relays with a Starlette or FastAPI application. It imports neither."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from perdure.outbox.sql_outbox import OutboxRelay
    from perdure.processes.client import Client
    from perdure.system import System

__all__ = ["lifespan"]

Part: TypeAlias = "System | Client | OutboxRelay | Callable[[], System | Client | OutboxRelay]"


def lifespan(*parts: Part) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that runs a system, or connects a client, while the application runs: `FastAPI(lifespan=lifespan(system))`.

    Args:
        parts: Systems, or functions that make a System or a Client in each worker: `lambda: perdure.connect("orders-data")`; behind
            a System, an `OutboxRelay` of it. They are started in order on the application's event loop (a relay in a thread beside
            it), and stopped in the opposite order. The first one is then `app.state.perdure`, `request.app.state.perdure` in a
            request.
    """

    @asynccontextmanager
    async def living(app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            entered = [await _entered(stack, part() if callable(part) else part) for part in parts]
            app.state.perdure = entered[0] if entered else None
            yield

    return living


async def _entered(stack: AsyncExitStack, part: Any) -> Any:
    """Start a part, and return it; the stack stops it."""
    if hasattr(part, "__aenter__"):
        return await stack.enter_async_context(part)
    if not (hasattr(part, "start") and hasattr(part, "stop")):
        msg = f"lifespan: a System, a Client or an OutboxRelay, or a function that makes one, not {type(part).__name__}"
        raise TypeError(msg)
    # A relay asks actors and waits for its database: neither may hold the loop up.
    stack.push_async_callback(asyncio.to_thread, part.stop)
    await asyncio.to_thread(part.start)
    return part
