"""`lifespan` starts and stops systems and clients with a Starlette or FastAPI application. It imports neither."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from perdure.processes.client import Client
    from perdure.system import System

__all__ = ["lifespan"]

Part: TypeAlias = "System | Client | Callable[[], System | Client]"


def lifespan(*parts: Part) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that runs a system, or connects a client, while the application runs: `FastAPI(lifespan=lifespan(system))`.

    Args:
        parts: Systems, or functions that make a System or a Client in each worker: `lambda: perdure.connect("orders-data")`. They
            are started in order on the application's event loop, and stopped in the opposite order. The first one is then
            `app.state.perdure`, `request.app.state.perdure` in a request.
    """

    @asynccontextmanager
    async def living(app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            entered = [await stack.enter_async_context(part() if callable(part) else part) for part in parts]
            app.state.perdure = entered[0] if entered else None
            yield

    return living
