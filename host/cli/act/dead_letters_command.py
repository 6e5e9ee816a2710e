"""`perdure dead-letters`: list and show the dead letters of a folder, and replay, edit or purge them, live or at rest.

Reading takes no lock. What changes something goes through the process that owns the folder, where there is one (`operated_folder`).
What an expression selects is in `perdure.events.queue.searching.expression`, bulk acts in `perdure.operations.bulk`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.actors.journal.log_fold import fold_log
from perdure.cli.act.bulk_reports import AsCounted, DryRun, check_choice, counted_for, say_counted, say_done
from perdure.cli.act.letter_reports import letter_report, letter_row, letters_table
from perdure.cli.completing import dead_letter_ids, type_names
from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json
from perdure.cli.look.tail_filter import quoted
from perdure.cli.operated_folder import BadChoice, By, Folder, Why, operated
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.whole.each_partition import each_partition
from perdure.events.errors import UnknownMessage
from perdure.events.queue.searching.letter_search import Selection, select
from perdure.publishing.given_message import json_object, message_of, value_or_text
from perdure.store import checked_address, partition_addresses

if TYPE_CHECKING:
    from perdure.cluster.acts.bulk import BulkActs
    from perdure.cluster.sums import ClusterDeadLetters
    from perdure.events.queue.dead_letters import Letter
    from perdure.operations.bulk.bulk_act import BulkAct
    from perdure.operations.dead_letters import DeadLetters

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List, show, replay, edit or purge dead letters.")
console = Terminal()

Type = Annotated[str | None, typer.Option("--type", help="Only dead letters of this message type.", autocompletion=type_names)]
Reason = Annotated[str | None, typer.Option(help="Only dead letters with this text in their reason, exception or its message.")]
Where = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="EXPR", help="Those that an expression selects, as in `perdure search`: type=Order error~timeout."
    ),
]


DAYS_MAX = 36_500.0
"""A hundred years, the longest time that perdure takes."""


def _letters(folder: str, selection: Selection) -> tuple[list[Letter], int]:
    whole = partition_addresses(checked_address(folder))
    if whole:
        found = [_letters(address, selection) for address in whole.values()]
        return [letter for letters, _ in found for letter in letters], sum(total for _, total in found)
    reader = existing_folder(folder)
    with shown_progress(console, "folding the log", unit="events") as step:
        states, _ = fold_log(reader, progress=step)
    return select(states.dead_letters, selection), len(states.dead_letters.letters)


@app.command("list")
@each_partition
def show_list(
    folder: Folder,
    kind: Type = None,
    reason: Reason = None,
    where: Where = None,
    limit: Annotated[int, typer.Option(min=1, help="The most dead letters to list.")] = 20,
    as_json: Json = False,
) -> None:
    """List dead letters, newest first."""
    found, total = _letters(folder, Selection(type=kind, reason=reason, limit=limit, where=where))
    if as_json:
        print_json([letter_row(letter) for letter in found])
        return
    console.print(letters_table(found, total) if total else "no dead letters")


@app.command()
@each_partition
def show(
    folder: Folder,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the message.", autocompletion=dead_letter_ids)],
    as_json: Json = False,
) -> None:
    """Show one dead letter: each failed attempt, its payload, and the last traceback."""
    found, _ = _letters(folder, Selection(id=message_id))
    if not found:
        raise UnknownMessage(f"message {message_id!r} is not a dead letter; `perdure dead-letters list` shows those that are")
    print_json(letter_row(found[0], whole=True)) if as_json else console.print(letter_report(found[0]), soft_wrap=True)


@app.command()
def replay(
    folder: Folder,
    message_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="The id of one message; or use --where, --all, --type or --reason.", show_default=False
        ),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    kind: Type = None,
    reason: Reason = None,
    where: Where = None,
    dry_run: DryRun = False,
    as_counted: AsCounted = None,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Return dead letters to the queue, with retries counted from zero; they are handled as soon as a handler runs."""
    is_by_old_filter = every or kind is not None or reason is not None
    if sum((message_id is not None, is_by_old_filter, where is not None)) != 1:
        raise BadChoice("name one ID, or choose by --where EXPR, or by --all, --type TYPE or --reason TEXT")
    check_choice(where, as_counted)
    with operated(folder, by, why) as system:
        letters = system.dead_letters
        if where is not None:
            _bulk(letters, "replay", where, as_counted, {}, dry_run=dry_run, as_json=as_json)
            return
        if message_id is not None:
            if dry_run:
                letters.get(message_id)
            else:
                letters.replay(message_id)
            count = 1
        else:
            count = letters.replay_all(type=kind, reason=reason, dry_run=dry_run)
    if as_json:
        print_json({"replayed": 0 if dry_run else count, "meant": count})
        return
    console.print(
        f"{count:,} would be replayed" if dry_run else f"{count:,} back in the queue; they are handled as soon as a handler runs"
    )


@app.command()
def edit(
    folder: Folder,
    message_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="The id of one message; or use --where.", show_default=False, autocompletion=dead_letter_ids
        ),
    ] = None,
    fields: Annotated[
        str | None, typer.Argument(metavar="[JSON]", help="All its fields as a JSON object; or use --set.", show_default=False)
    ] = None,
    *,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=JSON", help="Set a value within the payload: customer.id=7; several times for several."
        ),
    ] = None,
    where: Where = None,
    dry_run: DryRun = False,
    as_counted: AsCounted = None,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Return dead letters to the queue with other fields, under their ids; the log keeps both."""
    if (message_id is None) == (where is None) or (fields is None) == (not sets) or (where is not None and fields is not None):
        raise BadChoice("write ID JSON, ID --set PATH=VALUE, or --where EXPR --set PATH=VALUE")
    check_choice(where, as_counted)
    changes = dict(map(_setting, sets or ()))
    plain = {} if fields is None else json_object(fields)
    with operated(folder, by, why) as system:
        letters = system.dead_letters
        if changes:
            if message_id is not None:
                letters.get(message_id)  # or it is an error that it is none
            meant = where or quoted(f"id={message_id}")
            _bulk(letters, "edit", meant, as_counted, changes, dry_run=dry_run, as_json=as_json)
            return
        letter = letters.get(str(message_id))
        if not dry_run:
            letters.replay(str(message_id), message=message_of(letter.type, plain))
    if as_json:
        print_json({"edited": 0 if dry_run else 1, "meant": 1})
        return
    text = "would be replayed with" if dry_run else "back in the queue with these fields; it is handled as soon as a handler runs"
    console.print(f"1 {text} these fields" if dry_run else text)


@app.command()
def purge(
    folder: Folder,
    *,
    older_than_days: Annotated[float | None, typer.Option(min=0.0, max=DAYS_MAX, help="Only dead letters older than this.")] = None,
    kind: Type = None,
    reason: Reason = None,
    where: Where = None,
    dry_run: DryRun = False,
    as_counted: AsCounted = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Remove dead letters for good."""
    if where is not None and (older_than_days is not None or kind is not None or reason is not None):
        raise BadChoice("choose by --where EXPR, or by --older-than-days, --type and --reason")
    if dry_run and where is None:
        raise BadChoice("--dry-run goes with --where EXPR; without it, the question before the act says how many there are")
    check_choice(where, as_counted)
    if not yes and not dry_run:
        found, total = _letters(folder, Selection(type=kind, reason=reason, where=where))
        which = "" if older_than_days is None else f"all that are older than {older_than_days:g} days among"
        typer.confirm(f"Remove {which} {len(found):,} of {total:,} dead letters for good?", abort=True)
    with operated(folder, by, why) as system:
        if where is not None:
            _bulk(system.dead_letters, "purge", where, as_counted, {}, dry_run=dry_run, as_json=as_json)
            return
        age_s = None if older_than_days is None else older_than_days * 86_400
        count = system.dead_letters.purge(age_s, type=kind, reason=reason)
    print_json({"removed": count}) if as_json else console.print(f"{count:,} removed")


def _bulk(
    letters: DeadLetters | ClusterDeadLetters,
    action: str,
    where: str,
    as_counted: str | None,
    changes: dict[str, Any],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry out a bulk act, and print what it did and what had changed meanwhile."""
    counted = counted_for(letters, where, as_counted)
    if dry_run:
        say_counted(counted, "dead letter(s)", as_json=as_json)
        return
    goes_on = "the act is on record, and goes on without this command: `perdure dead-letters list --where` shows what is left"
    so_far = partial(console.print, goes_on, soft_wrap=True)
    with shown_progress(console, f"{action}: letters", counted.count, unit="letters", so_far=so_far) as step:

        def progress(act: BulkAct | BulkActs) -> None:
            step(act.changed + act.passed_over)

        if action == "replay":
            act = letters.replay_where(counted, progress=progress)
        elif action == "edit":
            act = letters.edit_where(counted, changes, progress=progress)
        else:
            act = letters.purge_where(counted, progress=progress)
    say_done(act, as_json=as_json)


def _setting(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        msg = f"--set: {text!r} is no PATH=VALUE, for example customer.id=7"
        raise BadChoice(msg)
    return path, value_or_text(value)
