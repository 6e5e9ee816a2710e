"""What commands say of bulk acts: what a dry run counted, and what an act did; and their options.

Not here: the commands (`dead_letters_command`, `act_commands`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from perdure.cli.json_output import print_json
from perdure.cli.operated_folder import BadChoice
from perdure.cli.terminal import Terminal, one_line
from perdure.events.queue.searching.expression import search_of
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from perdure.operations.bulk.acts_where import BulkAct, CountedLetters
    from perdure.operations.bulk.cancels_where import CountedMessages

__all__ = ["AsCounted", "DryRun", "check_choice", "counted_before", "say_counted", "say_done"]

console = Terminal()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what would be changed.")]
AsCounted = Annotated[
    str | None,
    typer.Option("--counted", metavar="SEQ:COUNT", help="Those that a dry run counted, and no other: it prints this."),
]

DONE = {"replay": "back in the queue", "edit": "edited and back in the queue", "purge": "removed", "cancel": "cancelled"}

COUNTED_CHARS_MAX = 40


def check_choice(where: str | None, as_counted: str | None) -> None:
    """Check what chooses the messages or letters of a bulk act, before anything is opened for it.

    Raises:
        BadChoice: `--counted` is not what a dry run prints, or stands without `--where`.
        InvalidMessage: the expression is none.
    """
    if where is not None:
        search_of(where)
    if counted_before(as_counted) is not None and where is None:
        msg = "--counted goes with --where, whose dry run has printed it"
        raise BadChoice(msg)


def counted_before(as_counted: str | None) -> tuple[int, int] | None:
    """Return up to where a dry run counted, and how many; None if there was none.

    Raises:
        BadChoice: the text is not what a dry run prints.
    """
    if as_counted is None:
        return None
    upto, _, count = as_counted.partition(":")
    if not upto.isdecimal() or not count.isdecimal() or len(as_counted) > COUNTED_CHARS_MAX:
        msg = f"--counted: {shown(as_counted)} is no SEQ:COUNT, as the dry run prints it"
        raise BadChoice(msg)
    return int(upto), int(count)


def say_counted(counted: CountedLetters | CountedMessages, what: str, at: str, upto: int, *, as_json: bool) -> None:
    """Say what a dry run counted, and how to hit just that."""
    if as_json:
        print_json({**attrs.asdict(counted), "count": counted.count})
        return
    console.print(one_line(f"{counted.count:,} {what} would be hit, counted at {at}"))
    for name, count in sorted(counted.by_type.items()):
        console.print(one_line(f"  {count:,} {name}"))
    console.print(
        f"the same command with --counted {upto}:{counted.count} instead of --dry-run hits these and no other", soft_wrap=True
    )


def say_done(act: BulkAct, *, as_json: bool) -> None:
    """Say what a bulk act did, and what had changed meanwhile.

    Raises:
        typer.Exit: it was stopped before its end.
    """
    if as_json:
        print_json({**attrs.asdict(act), "changed_meanwhile": act.changed_meanwhile})
    else:
        console.print(one_line(_story(act)), soft_wrap=True)
    if act.outcome:
        raise typer.Exit(1)


def _story(act: BulkAct) -> str:
    parts = [f"{act.changed:,} {DONE[act.action]}"]
    if act.passed_over:
        parts.append(f"{act.passed_over:,} still dead letters: a newer message holds the key, or there is nothing to edit in them")
    if act.changed_meanwhile and act.action == "cancel":
        parts.append(f"{act.changed_meanwhile:,} had ended meanwhile")
    elif act.changed_meanwhile:
        parts.append(f"{act.changed_meanwhile:,} had been replayed or removed by others meanwhile")
    if act.outcome:
        parts.append(f"it was stopped before its end: {act.outcome}")
    return "; ".join(parts)
