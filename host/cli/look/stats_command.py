"""`perdure stats`: counts of all messages by type, and what dead letters died of, folded from the log.

Not here: how they are drawn (`folder_report`).
"""

from __future__ import annotations

from perdure.actors.journal.log_fold import fold_log
from perdure.cli.existing_folder import LogFolder, existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.look.folder_report import folder_report
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.whole.each_partition import each_partition
from perdure.events.queue.searching import letter_search

__all__ = ["show_stats"]

console = Terminal()


@each_partition
def show_stats(folder: LogFolder, *, as_json: Json = False) -> None:
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
