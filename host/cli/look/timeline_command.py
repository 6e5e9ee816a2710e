"""`perdure timeline`: the story of one message, and the tree of what came of it.

Not here: how it is drawn (`folder_report`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.existing_folder import LogFolder, existing_folder
from perdure.cli.json_output import Json, print_json
from perdure.cli.look.folder_report import record_row, timeline_report, tree_report
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.whole.each_partition import each_partition
from perdure.operations.audit import Audit
from perdure.operations.reading.descendants import descendants

__all__ = ["show_timeline"]

console = Terminal()


@each_partition
def show_timeline(
    folder: LogFolder,
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
