"""`perdure stats`: counts of all messages by type, and what dead letters died of, folded from the log.

Not here: how they are drawn (`folder_report`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.actors.journal.log_fold import fold_log
from perdure.arguments.moments import moment
from perdure.cli.existing_folder import LogFolder, before_the_log, existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.look.folder_report import folder_report
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.typed_moments import HELP, position
from perdure.cli.whole.each_partition import each_partition
from perdure.events.queue.searching import letter_search
from perdure.operations.audit import Audit

__all__ = ["show_stats"]

console = Terminal()


@each_partition
def show_stats(
    folder: LogFolder,
    *,
    at: Annotated[str | None, typer.Option("--at", metavar="POSITION", help=f"What was true then: {HELP}.")] = None,
    as_json: Json = False,
) -> None:
    """Show counts of messages by type, pauses, throughput, and the reasons of dead letters, now or at any past moment."""
    reader = existing_folder(folder)
    where = position(at)
    until = None if where is None else Audit(store=reader).seq_at("at", where)
    with shown_progress(console, "folding the log", unit="events") as step:
        states, _ = fold_log(reader, until, progress=step)
    if as_json:
        letters = letter_search.stats(states.dead_letters)
        by_type = {name: row_of(counts) for name, counts in sorted(states.queue.by_type.items())}
        paused = {"all": states.handlers.paused, "types": sorted(states.handlers.paused_types)}
        counts = {"types": by_type, "dead": letters.by_type, "reasons": letters.by_reason}
        print_json({"seq": states.seq, "at": moment(states.at_us) if states.seq else None, **counts, "paused": paused})
        return
    if not states.seq and where is not None:
        console.print(one_line(before_the_log(reader)))
        return
    console.print(folder_report(reader, states, is_past=where is not None))
