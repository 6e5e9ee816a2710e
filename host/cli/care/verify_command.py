"""`perdure verify`: every byte of a log is checked, and its head printed, to be noted elsewhere.

Not here: the checks (`perdure.store.maintenance.verify`).
"""

from __future__ import annotations

from typing import Annotated

import attrs
import typer
from rich.table import Table
from rich.text import Text

from perdure.cli.existing_folder import LogFolder, existing_folder
from perdure.cli.json_output import Json, print_json
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.whole.each_partition import each_partition_with, of_partition
from perdure.operations.audit import Audit
from perdure.store import Head

__all__ = ["run_verify"]

console = Terminal()


@each_partition_with({"head": of_partition})
def run_verify(
    folder: LogFolder,
    head: Annotated[
        str | None,
        typer.Option(metavar="SEQ:HASH", help="Check that history up to this head, printed by an earlier verify, is unchanged."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Check every byte of a folder. Exit status 1 on damage."""
    if head is not None:
        try:
            Head.parse(head)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    reader = existing_folder(folder)
    with shown_progress(console, "checking", reader.size().bytes, unit="bytes") as step:
        result = Audit(folder).verify(step, head=head)
    if as_json:
        print_json({**attrs.asdict(result), "ok": result.ok, "head": str(result.head), "exposure": reader.exposure()})
        raise typer.Exit(0 if result.ok else 1)
    if not result.ok:
        table = Table("file", "offset", "seq", "problem", title="Findings", title_justify="left")
        for finding in result.findings:
            table.add_row(one_line(finding.file), str(finding.offset), str(finding.seq), one_line(finding.problem))
        console.print(table)
    spooled = f"; {result.spooled:,} publishes are spooled, and the next owner takes them in" if result.spooled else ""
    since = f", history kept from {result.first_seq:,} on" if result.first_seq > 1 else ""
    console.print(
        Text("whole", "green") if result.ok else Text("DAMAGED", "red"),
        f": {result.events:,} events in "
        f"{result.frames:,} frames, {result.segments} segment(s), {result.snapshots} snapshot(s), {result.bytes:,} bytes; last "
        f"sequence {result.last_seq}{since}{spooled}",
        sep="",
        soft_wrap=True,
    )
    console.say_line(f"head {result.head}")
    if head is not None and result.ok:
        console.say_line(f"history up to the head {head} is unchanged")
    exposed = reader.exposure()
    if exposed:
        console.say_line(f"open to other users: {exposed}", "yellow")
    if not result.ok:
        console.print("Copy the folder as it is. Then restore a backup, or run: perdure repair FOLDER NEW_FOLDER", soft_wrap=True)
    raise typer.Exit(0 if result.ok else 1)
