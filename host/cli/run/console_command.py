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

from perdure.actors.sessions.listening.sockets import SOCKET_NAME
from perdure.cli.existing_folder import existing_folder
from perdure.cli.operated_folder import Folder
from perdure.cli.terminal import Terminal
from perdure.connecting import connect
from perdure.events.errors import NotRunning, PerdureError
from perdure.options import Options
from perdure.runtime.process.interpreter_settings import InterpreterSettings
from perdure.store import checked_address, is_postgres, open_reader, open_store, partition_addresses, partition_owners

if TYPE_CHECKING:
    from perdure.processes.client import Client

__all__ = ["show_console"]

OWNER_TIMEOUT_S = 5.0
LOOPBACK = "127.0.0.1"
NICE = 10
ALONE = "only to look at: no process that takes acts owns it"


def show_console(
    folder: Folder,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port on loopback; 0: any that is free.")] = 0,
    show_payloads: Annotated[
        bool, typer.Option("--show-payloads", help="Show payloads at once, instead of after a reveal that is on record.")
    ] = False,
) -> None:
    """Open the console of a folder in the browser: see it, steer it, look at any past moment. Ctrl-C ends it.

    Prints an address with a token that opens one browser, and another one once that is used. That browser acts as the user of this
    shell.
    Where no process owns the folder, or its owner takes nothing from others, everything is only looked at. A queue in PostgreSQL is
    steered through its owner on whatever host; of several partitions each has pages of its own, one click apart.
    """
    addresses = partition_addresses(checked_address(folder))
    if not addresses:
        existing_folder(folder)
    try:
        import uvicorn  # noqa: PLC0415 - an extra

        from perdure.console.app import application  # noqa: PLC0415 - an extra
        from perdure.console.whole_console import whole_queue  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"the console needs more packages ({error.name} is missing): pip install 'perdure[console]'"
        raise PerdureError(msg) from error
    from perdure.console.console import Console  # noqa: PLC0415 - as above
    from perdure.console.guard.sessions import OneTimeToken  # noqa: PLC0415 - as above
    from perdure.security import Rights  # noqa: PLC0415 - as above

    os.nice(NICE)  # an open console must not hold up the system that it shows
    InterpreterSettings(Options()).apply()  # a full garbage collection of a big queue's state would hold up a page
    terminal = Terminal()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, port)))
        consoles = {
            number: Console(open_reader(address), _front(number, address, stack), rights=Rights(), open_payloads=show_payloads)
            for number, address in (addresses or {0: folder}).items()
        }
        for console in consoles.values():
            stack.callback(console.close)
        token = OneTimeToken()
        bound = listener.getsockname()[1]

        def tell() -> None:
            terminal.say_line(f"http://{LOOPBACK}:{bound}/login?token={token.value}")

        names = (f"{LOOPBACK}:{bound}", f"localhost:{bound}")
        app: Any = (
            whole_queue(consoles, hosts=names, token=token, used=tell)
            if addresses
            else application(consoles[0], hosts=names, token=token, used=tell)
        )
        lives = sum(console.front is not None for console in consoles.values())
        kind = "live" if lives == len(consoles) else f"{lives} of {len(consoles)} partitions live" if lives else ALONE
        terminal.say_line(f"the console of {folder} ({kind})")
        tell()
        config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


def _front(number: int, address: str, stack: ExitStack) -> Client | None:
    """Return a client of the process that owns a log; None where nothing can act there. `number`: of the partition."""
    if is_postgres(address):
        owners = partition_owners(address)
        if not any(one.owner and (one.number == number or len(owners) == 1) for one in owners):
            return None
        return stack.enter_context(connect(str(open_store(address).address), timeout=OWNER_TIMEOUT_S))
    if not (Path(address) / SOCKET_NAME).exists():
        return None
    try:
        return stack.enter_context(connect(address, timeout=OWNER_TIMEOUT_S, name="perdure console"))
    except NotRunning:
        return None
