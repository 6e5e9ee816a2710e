"""`perdure console`: the console of one folder on this machine, for the user of this shell.

Not here: pages and their checks (`perdure.console`).
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.actors.sessions.doors.sockets import SOCKET_NAME
from perdure.cli.existing_folder import existing_folder
from perdure.cli.operated_folder import Folder  # noqa: TC001 - typer reads the annotations
from perdure.cli.terminal import Terminal, one_line
from perdure.connecting import connect
from perdure.events.errors import NotRunning, PerdureError
from perdure.store import is_postgres

if TYPE_CHECKING:
    from perdure.processes.client import Client

__all__ = ["show_console"]

OWNER_TIMEOUT_S = 5.0
LOOPBACK = "127.0.0.1"
NICE = 10


def show_console(
    folder: Folder,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port on loopback; 0: any that is free.")] = 0,
    show_payloads: Annotated[  # noqa: FBT002 - typer reads it so
        bool, typer.Option("--show-payloads", help="Show payloads at once, instead of after a reveal that is on record.")
    ] = False,
) -> None:
    """Open the console of a folder in the browser: see it, steer it, look at any past moment. Ctrl-C ends it.

    Prints an address with a token that opens one browser, and another one once that is used. That browser acts as the user of this
    shell.
    Where no process owns the folder, or its owner takes nothing from others, everything is only looked at.
    """
    reader = existing_folder(folder)
    try:
        import uvicorn  # noqa: PLC0415 - an extra

        from perdure.console.app import application  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"the console needs more packages ({error.name} is missing): pip install 'perdure[console]'"
        raise PerdureError(msg) from error
    from perdure.console.console import Console  # noqa: PLC0415 - as above
    from perdure.console.guard.sessions import OneTimeToken  # noqa: PLC0415 - as above
    from perdure.security import Rights  # noqa: PLC0415 - as above

    os.nice(NICE)  # an open console must not hold up the system that it shows
    terminal = Terminal()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, port)))
        front = _front(folder, stack)
        console = Console(reader, front, rights=Rights(), open_payloads=show_payloads)
        stack.callback(console.close)
        token = OneTimeToken()
        bound = listener.getsockname()[1]

        def tell() -> None:
            terminal.print(one_line(f"http://{LOOPBACK}:{bound}/login?token={token.value}"), soft_wrap=True)

        app: Any = application(console, hosts=(f"{LOOPBACK}:{bound}", f"localhost:{bound}"), token=token, used=tell)
        kind = "live" if front is not None else "only to look at: no process that takes acts owns it"
        terminal.print(one_line(f"the console of {folder} ({kind})"), soft_wrap=True)
        tell()
        config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


def _front(folder: str, stack: ExitStack) -> Client | None:
    """Return a client of the process that owns the folder; None where nothing can act there."""
    if is_postgres(folder) or not (Path(folder) / SOCKET_NAME).exists():
        return None
    try:
        return stack.enter_context(connect(folder, timeout=OWNER_TIMEOUT_S, name="perdure console"))
    except NotRunning:
        return None
