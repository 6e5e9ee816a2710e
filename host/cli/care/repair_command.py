"""`perdure repair`: what is undamaged of a folder, copied into a new one.

Not here: what can be saved (`perdure.store.maintenance.repair`), and the report (`perdure.cli.look.folder_report`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.look.folder_report import repair_report
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.whole.copied_queue import each_copied
from perdure.store import checked_address, open_reader, open_target, repair

__all__ = ["run_repair"]

console = Terminal()


@each_copied
def run_repair(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="The damaged folder; it is only read.")],
    target: Annotated[str, typer.Argument(metavar="NEW_FOLDER", help="A new folder for what can be saved.")],
    *,
    as_json: Json = False,
) -> None:
    """Copy all that is undamaged of a folder into a new one, and list what was lost. Exit status 1 if anything was."""
    existing_folder(source)
    with shown_progress(console, "saving", unit="events") as step:
        done = repair(open_reader(source), open_target(checked_address(target)), progress=step)
    print_json(row_of(done)) if as_json else console.print(repair_report(source, target, done), soft_wrap=True)
    if done.lost:
        raise typer.Exit(1)
