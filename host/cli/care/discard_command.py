"""`perdure discard-copies`: throw away what a restore or migration into a database has left unfinished. The work is the store's."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.terminal import Terminal
from perdure.store import checked_address, discard_copies

__all__ = ["discard"]

console = Terminal()


def discard(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="postgresql://…#QUEUE, or #QUEUE/PARTITION.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Throw away copies of logs in a database that a restore, repair or migration did not finish, and is not to finish any more.

    Logs that a system could start on are left alone. Exit status 1 if there is no unfinished copy.
    """
    checked = checked_address(address)
    if not yes:
        typer.confirm("A restore or migration that still runs there fails by this. Go on?", abort=True)
    done = discard_copies(checked)
    if as_json:
        print_json(row_of(done))
    elif done.partitions:
        console.say_line(f"removed the unfinished copies in partitions {', '.join(map(str, done.partitions))}")
        if done.forgotten:
            console.say_line("the queue is not on record any more: it can be made with any number of partitions")
        if done.waiting:
            console.say_line(f"{done.waiting:,} publishes wait there still, and go to whatever starts on the queue next", "yellow")
    else:
        console.say_line(f"there is no unfinished copy in {address}")
    if not done.partitions:
        raise typer.Exit(1)
