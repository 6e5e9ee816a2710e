"""The entry point of the command line, and the commands `stats`, `timeline`, `verify`, `repair` and `demo`.

Not here: the work of the commands, which the library does; tables (`folder_report`); `perdure dead-letters`, `run`, `serve`,
`config` and `acts`, each in a module of its own.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, entry_points
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import attrs
import typer
from rich.table import Table
from rich.text import Text

from perdure.actors.journal.log_fold import fold_log
from perdure.cli.act import act_commands
from perdure.cli.act.dead_letters_command import app as dead_letters_app
from perdure.cli.care import backup_commands
from perdure.cli.care.accept_command import accept
from perdure.cli.care.doctor_command import doctor
from perdure.cli.care.export_command import run_export
from perdure.cli.care.migrate_command import run_migrate
from perdure.cli.care.schedules_command import show_schedules
from perdure.cli.config_command import show_config
from perdure.cli.console_command import show_console
from perdure.cli.existing_folder import existing_folder
from perdure.cli.exit_codes import code_of
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.look import look_commands
from perdure.cli.look.acts_command import show_acts
from perdure.cli.look.folder_report import folder_report, record_row, repair_report, timeline_report, tree_report
from perdure.cli.look.status_command import show_status
from perdure.cli.operated_folder import BadChoice
from perdure.cli.panels import OF_CHAOS, arrange
from perdure.cli.progress import interrupt_on_sigterm, shown_progress
from perdure.cli.run_command import BadTarget, run
from perdure.cli.serve_command import serve
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.whole.copied_queue import each_copied
from perdure.cli.whole.each_partition import each_partition, each_partition_with, of_partition
from perdure.config import FILE_VARIABLE
from perdure.demo.runner import SHIPPED, demo
from perdure.events.errors import PerdureError
from perdure.events.queue.searching import letter_search
from perdure.operations.audit import Audit
from perdure.operations.reading.descendants import descendants
from perdure.store import Head, checked_address, open_reader, open_target, repair

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(dead_letters_app, name="dead-letters")
app.command("config")(show_config)
app.command("console")(show_console)
app.command("migrate")(run_migrate)
app.command("export")(run_export)
app.command("doctor")(doctor)
app.command("accept-loss")(accept)
app.command("schedules")(show_schedules)
app.command("run")(run)
app.command("serve")(serve)
app.command("acts")(show_acts)
app.command("status")(show_status)
for _name, _command in {**look_commands.COMMANDS, **act_commands.COMMANDS, **backup_commands.COMMANDS}.items():
    app.command(_name)(_command)
console = Terminal()
Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="The data folder of a System, or postgresql://…#QUEUE.", show_default=False)
]


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        try:
            console.print(f"perdure {installed_version('perdure')}", highlight=False)
        except PackageNotFoundError:
            console.print("perdure, version unknown: the metadata of the package is not installed")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read options from this TOML file instead of the one in PERDURE_CONFIG.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Look at the queues of perdure, a durable message queue, act on them, keep them safe, and run them.

    FOLDER is the folder that a System was created with, or postgresql://…#QUEUE. `perdure COMMAND --help` has the options of each.
    """
    if config is not None:
        if not config.is_file():
            raise BadChoice(f"the configuration file {config} does not exist or is not a file; pass a TOML file to --config")
        before = os.environ.get(FILE_VARIABLE)
        os.environ[FILE_VARIABLE] = str(config.absolute())
        context.call_on_close(lambda: _restore(before))


def _restore(before: str | None) -> None:
    """Restore the environment variable, for a host that calls a command in its own process."""
    os.environ.pop(FILE_VARIABLE, None)
    if before is not None:
        os.environ[FILE_VARIABLE] = before


@app.command("demo")
def run_demo(
    orders: Annotated[
        str,
        typer.Argument(metavar="ORDERS", help="A JSON Lines file, or - for standard input.", show_default="orders made for it"),
    ] = str(SHIPPED),
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep all files in this empty folder instead of a temporary one.")
    ] = None,
    kills: Annotated[int, typer.Option(min=0, max=1000, help="How many actors to kill half-way.")] = 10,
) -> None:
    """Process orders, kill actors and the process half-way, and show that no order was lost or handled twice."""
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadTarget(f"{folder} exists and is not an empty folder; name another one")
    work = Path(tempfile.mkdtemp(prefix="perdure-demo-")) if folder is None else folder
    work.mkdir(parents=True, exist_ok=True)
    try:
        source = Path(orders)
        if orders == "-":
            source = work / "orders.jsonl"
            with source.open("wb") as spool:
                shutil.copyfileobj(sys.stdin.buffer, spool)
        elif not source.is_file():
            raise BadTarget(f"{orders} is not a file; name a JSON Lines file, or - for standard input")
        origin = "standard input" if orders == "-" else source.name
        console.print(one_line(f"orders from {origin}, all files in {work}"), soft_wrap=True)
        good = demo(console, source, work, kills)
    finally:
        if folder is None:
            shutil.rmtree(work, ignore_errors=True)
    if folder is None:
        console.print("The temporary folder was removed; use --folder FOLDER to keep the files.")
    raise typer.Exit(0 if good else 1)


@app.command()
@each_partition_with({"head": of_partition})
def verify(
    folder: Folder,
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
    console.print(one_line(f"head {result.head}"), soft_wrap=True)
    if head is not None and result.ok:
        console.print(one_line(f"history up to the head {head} is unchanged"), soft_wrap=True)
    exposed = reader.exposure()
    if exposed:
        console.print(one_line(f"open to other users: {exposed}", "yellow"), soft_wrap=True)
    if not result.ok:
        console.print("Copy the folder as it is. Then restore a backup, or run: perdure repair FOLDER NEW_FOLDER", soft_wrap=True)
    raise typer.Exit(0 if result.ok else 1)


@app.command()
@each_partition
def timeline(
    folder: Folder,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a message.")],
    *,
    as_json: Json = False,
) -> None:
    """Show the story of one message: all its events, replays and edits among them, and the tree of what came of it."""
    existing_folder(folder)
    with shown_progress(console, "reading the log", unit="events") as step:
        records = Audit(folder).timeline(message_id, progress=step)
    tree = descendants(Audit(folder).events(since=records[0].seq), message_id)
    if as_json:
        print_json({"id": message_id, "events": [record_row(record) for record in records], "children": tree.children})
        return
    console.print(timeline_report(message_id, records))
    if tree.children:
        console.print(tree_report(tree))


@app.command()
@each_partition
def stats(folder: Folder, *, as_json: Json = False) -> None:
    """Show counts of messages by type, throughput, and the reasons of dead letters."""
    reader = existing_folder(folder)
    with shown_progress(console, "folding the log", unit="events") as step:
        states, _ = fold_log(reader, progress=step)
    if as_json:
        letters = letter_search.stats(states.dead_letters)
        by_type = {name: row_of(counts) for name, counts in sorted(states.queue.by_type.items())}
        print_json({"seq": states.seq, "types": by_type, "dead": letters.by_type, "reasons": letters.by_reason})
        return
    console.print(folder_report(reader, states))


@app.command("repair")
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


arrange(app)


def _add_commands(words: list[str]) -> None:
    """Add the commands that packages register as entry points of the group `perdure.commands`.

    The front door must not import chaos/, so its commands come in this way. Importing them takes as long as all the rest, so a
    command line that begins with a command of this module does not wait for them.
    """
    if words and (words[0] == "--version" or words[0] in typer.main.get_group(app).commands):
        return
    for point in entry_points(group="perdure.commands"):
        found = point.load()
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=point.name, rich_help_panel=OF_CHAOS)
        else:
            app.command(point.name, rich_help_panel=OF_CHAOS)(found)


def main() -> None:
    """Run the command line. An error of perdure or the file system is one line on standard error, with a code of `exit_codes`."""
    _add_commands(sys.argv[1:])
    interrupt_on_sigterm()  # only now: before this line SIGTERM ends the program at once, without a traceback
    try:
        app()
    except (PerdureError, OSError) as error:
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        Terminal(stderr=True).print(one_line(f"perdure: {text}", "red"), soft_wrap=True)
        sys.exit(code_of(error))


if __name__ == "__main__":
    main()
