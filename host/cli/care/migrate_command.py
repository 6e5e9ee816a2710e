"""The command `perdure migrate`: a log moves from a folder to PostgreSQL, or back. The copying is `store/maintenance/migrate`'s."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line
from perdure.store import checked_address, create_tables, migrate, open_store, open_target

__all__ = ["run_migrate"]

console = Terminal()


def run_migrate(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A data folder, or postgresql://USER@HOST/DATABASE#QUEUE/PARTITION.")
    ],
    target: Annotated[
        str | None,
        typer.Argument(metavar="TO", help="A new folder, or a queue that is not in the database yet.", show_default=False),
    ] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Only create or update the tables in the database FROM.")] = False,
    as_json: Json = False,
) -> None:
    """Copy the whole history of a log from a folder to PostgreSQL, or back. No system may run on it; it is left as it is.

    The frames keep their bytes: ids, sequence numbers, the hash chain and noted heads stay valid.
    """
    if schema:
        done = create_tables(checked_address(source))
        if as_json:
            print_json({"changed": done})
        else:
            console.print("the tables were created" if done else "the tables are up to date")
        return
    if target is None:
        raise typer.BadParameter("name the place to copy to, behind the log to copy", param_hint="TO")
    existing_folder(source)
    owner = open_store(source)
    owner.open()  # so that no system writes meanwhile
    try:
        with shown_progress(console, "copying", owner.last_seq, unit="events") as step:
            moved = migrate(owner, open_target(checked_address(target)), progress=step)
    finally:
        owner.abandon()
    if as_json:
        print_json(row_of(moved))
        return
    console.print(
        one_line(f"copied {moved.events:,} events, up to sequence {moved.last_seq}, and {moved.snapshots} snapshot(s) to {target}"),
        soft_wrap=True,
    )
    console.print(
        one_line(f"Start systems there from now on, and no more on {source}: the two would go different ways."), soft_wrap=True
    )
