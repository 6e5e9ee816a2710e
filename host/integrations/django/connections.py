"""Middleware that treats a message as Django treats a request: old and broken database connections are closed around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from perdure.middleware import Middleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.actors.workers.context import Context

__all__ = ["CleanConnections"]


class CleanConnections(Middleware):
    """Calls `close_old_connections` before and after each message, in the worker's thread, whose connections they are.

    So `CONN_MAX_AGE` holds for handlers, and a database that was restarted costs one attempt and not all that come after it. A
    connection in a transaction of a test stays open.
    """

    def handle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Any]) -> Any:
        """See `Middleware.handle`."""
        close_old_connections()
        try:
            return call_next(message, context)
        finally:
            close_old_connections()

    async def ahandle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        """See `Middleware.ahandle`; in the thread where Django's asynchronous calls have their connections."""
        await sync_to_async(close_old_connections)()
        try:
            return await call_next(message, context)
        finally:
            await sync_to_async(close_old_connections)()
