"""`perdure dead-letters`: look at a folder's dead letters, and, while nobody runs on it, replay or purge them.

Looking takes no lock. What changes something goes through a `System` without handlers, as its owner: it is decided and put on
record as always, and nothing is delivered.
"""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.actors.journal.log_fold import fold_log
from perdure.cli.existing_folder import existing_folder
from perdure.cli.folder_report import letter_report, letters_table
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.events.errors import PerdureError, UnknownMessage
from perdure.events.queue.dead_letters import Letter, Selection, select
from perdure.options import Options
from perdure.system import System

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look at dead letters; replay or purge them while nobody runs on the folder.")
console = Terminal()

Folder = Annotated[str, typer.Argument(help="A data folder.", show_default=False)]
Type = Annotated[str | None, typer.Option("--type", help="Only those of this message type.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this text in reason or exception.")]


FORGETS_NOTHING = 1 << 40
"""How many ended ids an operator's command remembers: what the host may remember, it must not forget."""


class BadChoice(PerdureError):
    """What was asked for does not fit together."""


def _letters(folder: str, selection: Selection) -> tuple[list[Letter], int]:
    reader = existing_folder(folder)
    with shown_progress(console, "folding the log", unit="events") as step:
        states, _ = fold_log(reader, progress=step)
    return select(states.dead_letters, selection), len(states.dead_letters.letters)


def _existing(folder: str) -> System:
    """Give a system on a folder that is there: a mistyped name must not make a new one."""
    existing_folder(folder)
    try:
        return System(folder, options=Options(finished_max=FORGETS_NOTHING))
    except ValueError as error:  # options of perdure.toml or the environment
        raise BadChoice(str(error)) from error


@app.command("list")
def show_list(
    folder: Folder,
    kind: Type = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """List them, newest first."""
    found, total = _letters(folder, Selection(type=kind, reason=reason, limit=limit))
    console.print(letters_table(found, total) if total else "no dead letters")


@app.command()
def show(folder: Folder, message_id: Annotated[str, typer.Argument(metavar="ID", help="Whose.")]) -> None:
    """Tell all of one: each failed attempt, and the last traceback."""
    found, _ = _letters(folder, Selection(id=message_id))
    if not found:
        raise UnknownMessage(
            f"message {message_id!r} is not among the dead letters; `perdure dead-letters list` shows those that are"
        )
    console.print(letter_report(found[0]), soft_wrap=True)


@app.command()
def replay(
    folder: Folder,
    message_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Whose; or --all, --type, --reason.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,  # noqa: FBT002 - typer reads it so
    kind: Type = None,
    reason: Reason = None,
) -> None:
    """Bring them back to the queue, retries counted from zero; they run when the host's own process starts again."""
    if (message_id is None) == (not every and kind is None and reason is None):
        raise BadChoice("name one ID, or say which: --all, --type TYPE, --reason TEXT")
    with _existing(folder) as system:
        if message_id is not None:
            system.dead_letters.replay(message_id)
            count = 1
        else:
            count = system.dead_letters.replay_all(type=kind, reason=reason)
    console.print(f"{count:,} back in the queue; handled when the host runs again")


@app.command()
def purge(
    folder: Folder,
    older_than_days: Annotated[float | None, typer.Option(min=0.0, help="Only those that died so long ago.")] = None,
    kind: Type = None,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - typer reads it so
) -> None:
    """Remove them for good."""
    if not yes:
        found, total = _letters(folder, Selection(type=kind, reason=reason))
        aged = "" if older_than_days is None else f" that are older than {older_than_days:g} days"
        typer.confirm(f"Remove those of {len(found):,} dead letters (of {total:,}){aged} for good?", abort=True)
    with _existing(folder) as system:
        age_s = None if older_than_days is None else older_than_days * 86_400
        count = system.dead_letters.purge(age_s, type=kind, reason=reason)
    console.print(f"{count:,} removed")
