"""The command `perdure migrate`: a log moves from a folder to PostgreSQL, or back. The copying is `store/maintenance/migrate`'s."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import Json, print_json, row_of
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.whole.copied_queue import copied_logs
from perdure.cli.whole.each_partition import of_number
from perdure.events.errors import StoreUnavailable
from perdure.store import checked_address, create_tables, migrate, open_store, open_target
from perdure.store.other_processes import HasIngress, HasSpool

if TYPE_CHECKING:
    from perdure.store import EventStore

__all__ = ["run_migrate"]

console = Terminal()


def run_migrate(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A data folder, or postgresql://USER@HOST/DATABASE#QUEUE/PARTITION.")
    ],
    target: Annotated[
        str | None,
        typer.Argument(metavar="TO", help="A new folder, or a queue that is not in the database yet.", show_default=False),
    ] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Only create or update the tables in the database FROM.")] = False,
    as_json: Json = False,
) -> None:
    """Copy the whole history of a log from a folder to PostgreSQL, or back. No system may run on it; it is left as it is.

    The frames keep their bytes: ids, sequence numbers, the hash chain and noted heads stay valid. A queue of several partitions
    (`#QUEUE` without a number, or a folder with one log for each) is copied whole.
    """
    if schema:
        done = create_tables(checked_address(source))
        if as_json:
            print_json({"changed": done})
        else:
            console.print("the tables were created" if done else "the tables are up to date")
        return
    if target is None:
        raise typer.BadParameter("name the place to copy to, behind the log to copy", param_hint="TO")
    logs = copied_logs(source, target)
    with ExitStack() as stack:  # of a queue all logs are held before the first is copied
        held = {number: _held(log, stack) for number, (log, _) in logs.items()}
        if not logs:
            _copy(_held(source, stack), target, as_json=as_json)
        for number, owner in held.items():
            with of_number(number, is_shown=not as_json):
                _copy(owner, logs[number][1], as_json=as_json)
    if not as_json:
        console.say_line(f"Start systems there from now on, and no more on {source}: the two would go different ways.")


def _held(log: str, stack: ExitStack) -> EventStore:
    """Return the store of a log, owned until the stack ends, so that no system writes meanwhile.

    Raises:
        StoreUnavailable: publishes wait beside the log, which a copy would leave behind.
    """
    reader = existing_folder(log)
    owner = open_store(log)
    owner.open()
    stack.callback(owner.abandon)
    waiting = sum(file.items for file in reader.survey_spool()) if isinstance(reader, HasSpool) else 0
    if isinstance(owner, HasIngress):
        with closing(owner.ingress()) as ingress:
            waiting = len(ingress.read(0, 1))
    if waiting:
        raise StoreUnavailable(
            f"{log}: publishes wait beside the log for its owner. Start its System once, which takes them in, stop it, and copy"
        )
    return owner


def _copy(owner: EventStore, place: str, *, as_json: bool) -> None:
    with shown_progress(console, "copying", owner.last_seq, unit="events") as step:
        moved = migrate(owner, open_target(checked_address(place)), progress=step)
    if as_json:
        print_json(row_of(moved))
        return
    console.say_line(
        f"copied {moved.events:,} events, up to sequence {moved.last_seq}, and {moved.snapshots} snapshot(s) to {place}"
    )
