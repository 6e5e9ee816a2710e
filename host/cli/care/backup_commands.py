"""`perdure backup` and `perdure restore`. What is copied and checked is in `perdure.store.backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.operated_folder import BadChoice
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.typed_moments import HELP, position
from perdure.cli.whole.each_partition import each_partition_with, of_number
from perdure.operations.backups import backup, restore
from perdure.operations.queue_logs import logs_of
from perdure.store import checked_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store import Backup, Restored

__all__ = ["COMMANDS"]

console = Terminal()


def _folder_of(target: str, number: int, _count: int) -> str:
    """Return the folder of one partition's backup."""
    return str(Path(target) / str(number))


@each_partition_with({"target": _folder_of})
def run_backup(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The data folder of a System, or postgresql://…#QUEUE.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A folder for it: a new one, or that of earlier runs.", show_default=False),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Read all of the history again, to find edits of what earlier runs have copied.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy what is new in a folder into a backup, also beside a live system. A run that was cut off is completed by the next.

    Exit status 1 if nothing or not all could be copied; what earlier runs completed stays as it was. Of a queue of several
    partitions each has a backup of its own, in a folder of TARGET that is named by its number, which `restore` takes.
    """
    source = existing_folder(folder)
    with shown_progress(console, "copying", unit="events") as step:
        done = backup(source, target, check=check, progress=step)
    if as_json:
        print_json(_row(done))
        return
    since = f" (history kept from {done.first_seq:,} on)" if done.first_seq > 1 else ""
    console.say_line(
        f"backed up: {done.events:,} new events in {done.bytes:,} bytes; {target} holds everything up to sequence "
        f"{done.last_seq:,}{since}, and {done.snapshots} snapshot(s)"
    )
    console.say_line(f"head {done.head}")
    if done.spooled:
        console.say_line(f"{done.spooled:,} publishes that wait in spool files for an owner are in it as such files")


def run_restore(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The folder of a backup; it is only read.", show_default=False)],
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="A new folder, or postgresql://…#QUEUE/PARTITION that is not there yet.", show_default=False
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="POSITION", help=f"Leave out what happened after this: {HELP}."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a new folder of a backup, as it was at the last run or at an earlier moment. Exit status 1 if that cannot be done.

    The new log has the id and the history of the one that was backed up. Both would handle what waits: start only one of them, or
    run `perdure pause FOLDER` first. Of a queue of several partitions all are restored, or none, into `postgresql://…#QUEUE` or a
    folder with one for each; run a restore again that was cut off.
    """
    where = position(to)
    if isinstance(where, int) and logs_of(checked_address(target)):
        raise BadChoice("--to: each partition counts by itself; give a time, or restore one partition")
    with shown_progress(console, "restoring", unit="events") as step:
        done = restore(target, checked_address(folder), to=where, progress=step)
    if not done.partitions:
        _print_restored(done, folder, as_json=as_json)
    for number, one in done.partitions.items():
        with of_number(number, is_shown=not as_json):
            _print_restored(one, f"{folder}/{number}", as_json=as_json)
    if not as_json:
        console.say_line(
            "the log that was backed up and this one would both handle what waits: start only one of them. To look at this one "
            f"first: perdure pause {folder}"
        )


def _print_restored(done: Restored, folder: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_row(done))
        return
    left_out = f"; {done.left_out:,} later events are left out" if done.left_out else ""
    console.say_line(
        f"restored: {folder} holds {done.events:,} events up to sequence {done.last_seq:,} and {done.snapshots} "
        f"snapshot(s){left_out}"
    )
    console.say_line(f"head {done.head}")
    if done.spooled:
        console.say_line(f"{done.spooled:,} spooled publishes wait for its first owner")
    if done.spooled_left_out:
        left_out = (
            f"left out: {done.spooled_left_out:,} publishes in spool files, which had not reached the log at that moment. They "
            "have no time of their own; a restore without --to has all of them"
        )
        console.say_line(left_out, "yellow")
    if done.spooled_damaged:
        left_out = f"left out: {done.spooled_damaged:,} damaged records of spool files, each of one publish or more"
        console.say_line(left_out, "yellow")


def _row(done: Backup | Restored) -> dict[str, Any]:
    """Return what was done with one log as JSON has it; each partition of a queue is a line of its own."""
    row = row_of(done)
    del row["partitions"]
    return row


COMMANDS: dict[str, Callable[..., None]] = {"backup": run_backup, "restore": run_restore}
