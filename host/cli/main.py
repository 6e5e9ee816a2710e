"""The entry point of the command line: which commands there are, what all of them share, and how errors end them.

Not here: any command; each is in a module of its own (`look`, `act`, `care`, `run`).
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, entry_points
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.act import act_commands
from perdure.cli.act.dead_letters_command import app as dead_letters_app
from perdure.cli.care import backup_commands
from perdure.cli.care.accept_command import accept
from perdure.cli.care.discard_command import discard
from perdure.cli.care.doctor_command import doctor
from perdure.cli.care.export_command import run_export
from perdure.cli.care.migrate_command import run_migrate
from perdure.cli.care.repair_command import run_repair
from perdure.cli.care.schedules_command import show_schedules
from perdure.cli.care.verify_command import run_verify
from perdure.cli.exit_codes import code_of
from perdure.cli.interrupts import interrupt_on_sigterm
from perdure.cli.look import look_commands
from perdure.cli.look.acts_command import show_acts
from perdure.cli.look.config_command import show_config
from perdure.cli.look.stats_command import show_stats
from perdure.cli.look.status.status_command import show_status
from perdure.cli.look.timeline_command import show_timeline
from perdure.cli.operated_folder import BadChoice
from perdure.cli.panels import OF_CHAOS, arrange
from perdure.cli.run.console_command import show_console
from perdure.cli.run.demo_command import run_demo
from perdure.cli.run.run_command import run
from perdure.cli.run.serve_command import serve
from perdure.cli.terminal import Terminal
from perdure.config import FILE_VARIABLE
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(dead_letters_app, name="dead-letters")
COMMANDS: dict[str, Callable[..., None]] = {
    **look_commands.COMMANDS,
    **act_commands.COMMANDS,
    **backup_commands.COMMANDS,
    "accept-loss": accept,
    "acts": show_acts,
    "config": show_config,
    "console": show_console,
    "demo": run_demo,
    "discard-copies": discard,
    "doctor": doctor,
    "export": run_export,
    "migrate": run_migrate,
    "repair": run_repair,
    "run": run,
    "schedules": show_schedules,
    "serve": serve,
    "stats": show_stats,
    "status": show_status,
    "timeline": show_timeline,
    "verify": run_verify,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
arrange(app)
console = Terminal()


def _version(asked: bool) -> None:
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
    _version: Annotated[
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
        text = str(error)
        if isinstance(error, OSError) and error.strerror:
            text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        Terminal(stderr=True).say_line(f"perdure: {text}", "red")
        sys.exit(code_of(error))


if __name__ == "__main__":
    main()
