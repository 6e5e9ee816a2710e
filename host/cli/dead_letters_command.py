"""`perdure dead-letters`: list and show the dead letters of a folder, and replay, edit or purge them, live or at rest.

Reading takes no lock. What changes something goes through the process that owns the folder, where there is one (`operated_folder`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.actors.journal.log_fold import fold_log
from perdure.cli.existing_folder import existing_folder
from perdure.cli.folder_report import letter_report, letters_table
from perdure.cli.operated_folder import BadChoice, By, Folder, Why, operated
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.events.errors import UnknownMessage
from perdure.events.queue.dead_letters import Letter, Selection, select
from perdure.publishing.given_message import json_object, message_of

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List, show, replay, edit or purge dead letters.")
console = Terminal()

Type = Annotated[str | None, typer.Option("--type", help="Only dead letters of this message type.")]
Reason = Annotated[str | None, typer.Option(help="Only dead letters with this text in their reason, exception or its message.")]


DAYS_MAX = 36_500.0
"""A hundred years, the longest time that perdure takes."""


def _letters(folder: str, selection: Selection) -> tuple[list[Letter], int]:
    reader = existing_folder(folder)
    with shown_progress(console, "folding the log", unit="events") as step:
        states, _ = fold_log(reader, progress=step)
    return select(states.dead_letters, selection), len(states.dead_letters.letters)


@app.command("list")
def show_list(
    folder: Folder,
    kind: Type = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="The most dead letters to list.")] = 20,
) -> None:
    """List dead letters, newest first."""
    found, total = _letters(folder, Selection(type=kind, reason=reason, limit=limit))
    console.print(letters_table(found, total) if total else "no dead letters")


@app.command()
def show(folder: Folder, message_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the message.")]) -> None:
    """Show one dead letter: each failed attempt, and the last traceback."""
    found, _ = _letters(folder, Selection(id=message_id))
    if not found:
        raise UnknownMessage(f"message {message_id!r} is not a dead letter; `perdure dead-letters list` shows those that are")
    console.print(letter_report(found[0]), soft_wrap=True)


@app.command()
def replay(
    folder: Folder,
    message_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The id of one message; or use --all, --type or --reason.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,  # noqa: FBT002 - typer reads it so
    kind: Type = None,
    reason: Reason = None,
    by: By = None,
    why: Why = "",
) -> None:
    """Return dead letters to the queue, with retries counted from zero; they are handled as soon as a handler runs."""
    if (message_id is None) == (not every and kind is None and reason is None):
        raise BadChoice("name one ID, or choose by --all, --type TYPE or --reason TEXT")
    with operated(folder, by, why) as system:
        if message_id is not None:
            system.dead_letters.replay(message_id)
            count = 1
        else:
            count = system.dead_letters.replay_all(type=kind, reason=reason)
    console.print(f"{count:,} back in the queue; they are handled as soon as a handler runs")


@app.command()
def edit(
    folder: Folder,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the message.", show_default=False)],
    fields: Annotated[str, typer.Argument(metavar="JSON", help="All its fields as a JSON object.", show_default=False)],
    by: By = None,
    why: Why = "",
) -> None:
    """Return one dead letter to the queue with other fields, under its id; the log keeps both."""
    plain = json_object(fields)
    with operated(folder, by, why) as system:
        letter = system.dead_letters.get(message_id)
        system.dead_letters.replay(message_id, message=message_of(letter.type, plain))
    console.print("back in the queue with these fields; it is handled as soon as a handler runs")


@app.command()
def purge(
    folder: Folder,
    older_than_days: Annotated[float | None, typer.Option(min=0.0, max=DAYS_MAX, help="Only dead letters older than this.")] = None,
    kind: Type = None,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002 - typer reads it so
    by: By = None,
    why: Why = "",
) -> None:
    """Remove dead letters for good."""
    if not yes:
        found, total = _letters(folder, Selection(type=kind, reason=reason))
        which = "" if older_than_days is None else f"all that are older than {older_than_days:g} days among"
        typer.confirm(f"Remove {which} {len(found):,} of {total:,} dead letters for good?", abort=True)
    with operated(folder, by, why) as system:
        age_s = None if older_than_days is None else older_than_days * 86_400
        count = system.dead_letters.purge(age_s, type=kind, reason=reason)
    console.print(f"{count:,} removed")
