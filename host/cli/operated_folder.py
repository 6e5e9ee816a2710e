"""Access to a folder for commands that act on it: through the process that owns it, or by a System of their own where none does.

Not here: reading a folder, which takes neither (`existing_folder`).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.actors.sessions.listening.sockets import SOCKET_NAME
from perdure.arguments.acting import acting_as
from perdure.arguments.acting import user as own_user
from perdure.cli.existing_folder import existing_folder
from perdure.cli.whole.whole_queue import WholeQueue
from perdure.connecting import connect
from perdure.events.errors import PerdureError, StoreLocked
from perdure.options import Options
from perdure.store import checked_address, is_postgres, open_store, partition_addresses
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.processes.client import Client

__all__ = ["BadChoice", "By", "Folder", "Why", "operated"]

FORGETS_NOTHING = 1 << 40
"""How many ids of ended messages a command remembers: it must not forget an id that the host remembers."""
OWNER_TIMEOUT_S = 10.0
"""How long a command waits for the owner's answer."""

Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="The data folder of a System.", show_default=False)]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who acts, for the record; the user of this shell unless given.")
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the record.", show_default=False)]


class BadChoice(PerdureError):
    """The arguments contradict each other or an option in force."""


@contextlib.contextmanager
def operated(folder: str, by: str | None = None, why: str = "") -> Iterator[System | Client | WholeQueue]:
    """Yield what acts on a folder: a client of the process that owns it, else a System without handlers, which delivers nothing.

    Of a queue of several partitions it is all of them, each through its owner or a System of its own.

    Acts within the block are on record with `by` and `why`.

    Raises:
        NotRunning, StoreLocked: a process owns the folder and takes nothing from others; says what to do.
        StoreUnavailable: the folder holds no log. A mistyped name creates no new one.
    """
    addresses = partition_addresses(checked_address(folder))
    with acting_as(by or own_user(), reason=why), contextlib.ExitStack() as stack:
        if addresses:
            yield WholeQueue(folder, addresses, _one, stack)
            return
        yield stack.enter_context(_one(folder))


@contextlib.contextmanager
def _one(folder: str) -> Iterator[System | Client]:
    """Yield what acts on one log, as the caller's principal."""
    existing_folder(folder)
    with contextlib.ExitStack() as stack:
        try:
            options = Options(finished_max=FORGETS_NOTHING)
            system = System(store=open_store(folder), options=options) if is_postgres(folder) else System(folder, options=options)
        except ValueError as error:  # options of a configuration file or the environment
            raise BadChoice(str(error)) from error
        try:
            front: System | Client = stack.enter_context(system)
        except StoreLocked:
            if not is_postgres(folder):
                if not (Path(folder) / SOCKET_NAME).exists():
                    raise  # nothing to wait for: its owner takes nothing from others
                front = stack.enter_context(connect(folder, timeout=OWNER_TIMEOUT_S, name="perdure command"))
            else:
                front = stack.enter_context(connect(str(open_store(folder).address), timeout=OWNER_TIMEOUT_S))
        yield front
