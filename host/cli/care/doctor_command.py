"""`perdure doctor`: what is amiss with a folder or database, this machine and the settings. The work is `operations/doctor`'s."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.whole.each_partition import each_partition
from perdure.config import load
from perdure.operations.doctor import examine
from perdure.store import checked_address, open_reader

__all__ = ["doctor"]

console = Terminal()

STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


@each_partition
def doctor(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The data folder of a System, or postgresql://…#QUEUE.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Look at permissions, disk, clock, settings, versions and limits, and say what to do. Exit status 1 if there is a problem."""
    found = list(examine(open_reader(checked_address(folder)), load))
    if as_json:
        print_json([row_of(one) for one in found])
    else:
        for one in found:
            console.print(
                one_line(f"{one.level:8}", STYLES[one.level]), one_line(f"{one.check}: {one.text}"), sep="", soft_wrap=True
            )
            if one.advice:
                console.say_line(f"        to do: {one.advice}")
        problems, notes = (sum(one.level == level for one in found) for level in ("problem", "note"))
        console.print(one_line(f"{problems} problem(s), {notes} note(s)"))
    raise typer.Exit(1 if any(one.level == "problem" for one in found) else 0)
