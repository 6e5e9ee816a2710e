"""`perdure export`: events as a file of another program's format. What is written, and how: `operations/exporting`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.operated_folder import BadChoice
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.typed_moments import HELP, position
from perdure.cli.whole.each_partition import each_partition_with
from perdure.operations.exporting.export import export
from perdure.operations.exporting.writers import FORMATS

__all__ = ["run_export"]

console = Terminal()


def _file_of(output: Path, number: int, _count: int) -> Path:
    """Return the file of one partition: `orders.jsonl` becomes `orders.3.jsonl`."""
    return output.with_name(f"{output.stem}.{number}{output.suffix}")


@each_partition_with({"output": _file_of})
def run_export(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A data folder, a backup, or postgresql://…#QUEUE.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)],
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"One of: {', '.join(FORMATS)}.")] = "jsonl",
    where: Annotated[
        str | None, typer.Option(metavar="EXPR", help="Only events of messages that this selects, as in `perdure search`.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="POSITION", help=f"From here on: {HELP}.")] = None,
    until: Annotated[str | None, typer.Option(metavar="POSITION", help=f"Up to here: {HELP}.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write events into a file, also beside a live system. It gets its name once it is whole, so a cut-off export leaves none.

    Of a queue of several partitions each has a file of its own, with the number before the suffix.
    """
    if kind not in FORMATS:
        msg = f"--format: one of {', '.join(FORMATS)}, not {kind!r}"
        raise BadChoice(msg)
    bounds: dict[str, Any] = {"since": position(since), "until": position(until)}
    reader = existing_folder(folder)
    with shown_progress(console, "exporting", unit="events") as step:
        done = export(reader, output, format=kind, where=where, replace=force, progress=step, **bounds)
    if as_json:
        print_json(row_of(done))
        return
    console.say_line(f"exported: {done.events:,} events in {done.bytes:,} bytes to {output}")
