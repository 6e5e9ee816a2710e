"""What commands print about bulk acts: what a dry run counted, and what an act did; and their options.

Not here: the commands (`dead_letters_command`, `act_commands`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from perdure.cli.json_output import print_json
from perdure.cli.operated_folder import BadChoice
from perdure.cli.terminal import Terminal, one_line
from perdure.cluster.acts.bulk import ActsEverywhere, CancelsEverywhere, CountedEverywhere
from perdure.events.queue.searching.expression import search_of
from perdure.events.seconds import shown
from perdure.operations.bulk.counted import CountedLetters, CountedMessages

if TYPE_CHECKING:
    from perdure.cluster.acts.bulk import BulkActs
    from perdure.operations.bulk.acts_where import ActsWhere
    from perdure.operations.bulk.bulk_act import BulkAct
    from perdure.operations.bulk.cancels_where import CancelsWhere

__all__ = ["AsCounted", "DryRun", "check_choice", "counted_for", "say_counted", "say_done"]

console = Terminal()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what would be changed.")]
AsCounted = Annotated[
    str | None,
    typer.Option("--counted", metavar="SEQ:COUNT", help="Those that a dry run counted, and no other: it prints this."),
]

DONE = {"replay": "back in the queue", "edit": "edited and back in the queue", "purge": "removed", "cancel": "cancelled"}

COUNTED_CHARS_MAX = 40
"""Of each log."""


def check_choice(where: str | None, as_counted: str | None) -> None:
    """Check what chooses the messages or letters of a bulk act, before anything is opened for it.

    Raises:
        BadChoice: `--counted` is not what a dry run prints, or stands without `--where`.
        InvalidMessage: the expression cannot be read.
    """
    if where is not None:
        search_of(where)
    if as_counted is not None:
        _counted_before(as_counted)
        if where is None:
            msg = "--counted goes with --where, whose dry run has printed it"
            raise BadChoice(msg)


def counted_for(acts: ActsWhere | CancelsWhere | ActsEverywhere | CancelsEverywhere, where: str, as_counted: str | None) -> Any:
    """Return what an expression selects: now, or as a dry run has counted it, in one log or in all partitions of a queue.

    Raises:
        BadChoice: `as_counted` is not what a dry run prints.
    """
    if as_counted is None:
        return acts.count_where(where)
    marks, count = _counted_before(as_counted)
    if isinstance(acts, ActsEverywhere | CancelsEverywhere):
        if len(marks) != acts.partitions:
            raise BadChoice(
                f"--counted: {shown(as_counted)} is of {len(marks)} log(s), and the queue has {acts.partitions} partitions"
            )
        left: Any = acts.count_where(where, upto=dict(enumerate(marks)))
    else:
        if len(marks) > 1:
            raise BadChoice(f"--counted: {shown(as_counted)} is of {len(marks)} partitions, and this is one log")
        left = acts.count_where(where, upto=marks[0])
    return attrs.evolve(left, gone=max(0, count - left.count))


def _counted_before(as_counted: str) -> tuple[list[int], int]:
    """Return up to where a dry run counted in each log, and how many in all."""
    upto, _, count = as_counted.partition(":")
    marks = upto.split(",")
    if not all(mark.isdecimal() and len(mark) < COUNTED_CHARS_MAX for mark in [*marks, count]):
        msg = f"--counted: {shown(as_counted)} is no SEQ:COUNT, as the dry run prints it"
        raise BadChoice(msg)
    return [int(mark) for mark in marks], int(count)


def say_counted(counted: CountedLetters | CountedMessages | CountedEverywhere, what: str, *, as_json: bool) -> None:
    """Print what a dry run counted, and how to act on just that."""
    if as_json:
        print_json({**attrs.asdict(counted), "count": counted.count, "by_type": counted.by_type})
        return
    if isinstance(counted, CountedEverywhere):
        marks = [one.upto for one in counted.by_partition.values()]
        at = f"in {len(marks)} partitions"
    else:
        marks = [counted.upto]
        at = f"at {_AT[type(counted)]} {marks[0]}"
    console.print(one_line(f"{counted.count:,} {what} would be hit, counted {at}"))
    for name, count in sorted(counted.by_type.items()):
        console.print(one_line(f"  {count:,} {name}"))
    console.print(
        f"the same command with --counted {','.join(map(str, marks))}:{counted.count} instead of --dry-run hits these and no other",
        soft_wrap=True,
    )


_AT = {CountedLetters: "sequence number", CountedMessages: "the message of number"}


def say_done(act: BulkAct | BulkActs, *, as_json: bool) -> None:
    """Print what a bulk act did, and what had changed meanwhile.

    Raises:
        typer.Exit: it was stopped before its end.
    """
    if as_json:
        print_json({**attrs.asdict(act), **_sums(act), "changed_meanwhile": act.changed_meanwhile})
    else:
        console.say_line(_story(act))
    if act.outcome:
        raise typer.Exit(1)


def _sums(act: BulkAct | BulkActs) -> dict[str, Any]:
    """Return the counts of an act: the fields of one on a single log, or the sums of one on all partitions."""
    return {name: getattr(act, name) for name in ("counted", "changed", "passed_over", "is_over", "outcome")}


def _story(act: BulkAct | BulkActs) -> str:
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
