"""`perdure schedules`: what ticks when, the last tick and the next. How it is found out: `operations/listed_schedules`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.whole.each_partition import each_partition
from perdure.operations.listed_schedules import listed_schedules

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["show_schedules"]

console = Terminal()


@each_partition
def show_schedules(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The data folder of a System, or postgresql://…#QUEUE.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """List the schedules of a folder: what ticks when, its last tick and its next, if a System with it runs then."""
    reader = existing_folder(folder)
    with shown_progress(console, "folding the log", unit="events") as step:
        found = listed_schedules(reader, time.time_ns() // 1000, progress=step)
    if as_json:
        print_json([row_of(one) for one in found])
        return
    if not found:
        console.print("no schedule is on record in this folder, as far back as it keeps history")
        return
    table = Table("schedule", "every", "last tick (UTC)", "next tick (UTC)", "", box=None, pad_edge=False)
    for one in found:
        every = f"{one.every} s" if one.every.replace(".", "").isdigit() else f"{one.every} {one.zone}".strip()
        notes = ["estimated from the last two"] * one.is_estimate + ["paused"] * one.paused
        table.add_row(one_line(one.name), one_line(every or "?"), _shown(one.last), _shown(one.next), ", ".join(notes))
    console.print(table)


def _shown(at: dt.datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
