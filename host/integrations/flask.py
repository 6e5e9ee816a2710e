"""`Perdure`: an extension of Flask. Requests publish through a client; handlers run in the application's context.

The worker is a program of its own: `flask --app shop perdure`, which runs the handlers until SIGTERM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from perdure.connecting import connect
from perdure.events.errors import InvalidMessage
from perdure.handling.handlers import Handlers
from perdure.integrations.systemd import notify
from perdure.middleware import Middleware
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.actors.workers.context import Context
    from perdure.processes.client import Client

__all__ = ["Perdure"]

KEY = "perdure"


class Perdure:
    """A queue for an application, or for several that a factory makes: `queue = Perdure()`, then `queue.init_app(app)`.

    Settings in `app.config`:
        PERDURE_FOLDER: the data folder, or `postgresql://…`.
        PERDURE_CLIENT: options of `perdure.connect`, a dict; `{"spool": True}` publishes also while no worker runs.
        PERDURE_SYSTEM: options of `perdure.System` for the worker, a dict; `shared` is True unless it says otherwise.

    Declare handlers on `queue.handlers`, a `perdure.Handlers`. All methods may be called in any thread.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self.handlers = Handlers()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, client: Client | System | None = None) -> None:
        """Prepare an application: its command `perdure`, and a client that connects at its first use in each process.

        Args:
            app: the application.
            client: what publishes instead: a `perdure.chaos.SimulatedSystem` in a test, or a System that runs in this process.
        """
        app.extensions[KEY] = {} if client is None else {"client": client}
        app.cli.command("perdure", help="Run the handlers until SIGTERM or SIGINT.")(lambda: self.system(app).serve(started=notify))

    @property
    def client(self) -> Client | System:
        """The client of the current application; it is made once in each process, and survives a fork.

        Raises:
            InvalidMessage: the application sets no PERDURE_FOLDER.
            NotRunning: no worker runs, and PERDURE_CLIENT does not say `spool`.
        """
        held: dict[str, Any] = current_app.extensions[KEY]
        if "client" not in held:
            held.setdefault("client", connect(_folder(current_app), **current_app.config.get("PERDURE_CLIENT", {})))
        client: Client | System = held["client"]
        return client

    def publish(self, message: Any, **options: Any) -> str:
        """Publish from a request; see `System.publish`."""
        return self.client.publish(message, **options)

    def system(self, app: Flask) -> System:
        """Return a new System with the handlers, each call of which runs in `app.app_context()`; for the worker program."""
        options = {"shared": True, **app.config.get("PERDURE_SYSTEM", {})}
        options["middleware"] = [AppContext(app), *options.get("middleware", ())]
        system = System(_folder(app), **options)
        system.include(self.handlers)
        return system


class AppContext(Middleware):
    """Runs each handler in the application's context, so that `current_app` and extensions work in it. Safe in any thread."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def handle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Any]) -> Any:
        """See `Middleware.handle`."""
        with self._app.app_context():
            return call_next(message, context)

    async def ahandle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        """See `Middleware.ahandle`."""
        with self._app.app_context():
            return await call_next(message, context)


def _folder(app: Flask) -> str:
    folder = app.config.get("PERDURE_FOLDER")
    if not folder:
        raise InvalidMessage("PERDURE_FOLDER: the application's config does not say where the queue is; set it to the data folder")
    return str(folder)
