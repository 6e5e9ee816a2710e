"""Commands that act on a folder, live or at rest: `pause`, `resume`, `scale`, `configure`, `cancel`, `run-now` and their kin.

Each goes through the process that owns the folder, where there is one (`operated_folder`). Dead letters have commands of their own
(`dead_letters_command`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.actors.core.messages import Report
from perdure.cli.act.bulk_reports import AsCounted, DryRun, check_choice, counted_for, say_counted, say_done
from perdure.cli.completing import type_names
from perdure.cli.json_output import Json, print_json
from perdure.cli.operated_folder import BadChoice, By, Folder, Why, operated
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal
from perdure.cli.whole.whole_queue import WholeQueue
from perdure.events.errors import PerdureError, UnknownMessage
from perdure.events.seconds import shown
from perdure.publishing.given_message import json_object, message_of, option_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.cluster.sums import ClusterAdmin
    from perdure.operations.admin import Admin
    from perdure.processes.client import Client
    from perdure.system import System

__all__ = ["COMMANDS"]

console = Terminal()

TYPES_NAMED = 10
NO_OPTIONS = ("self", "type")
"""Parameters of `configure` that are no options."""

Type = Annotated[
    str, typer.Argument(metavar="TYPE", help="The name of a message type.", show_default=False, autocompletion=type_names)
]
AnyType = Annotated[
    str | None,
    typer.Argument(
        metavar="[TYPE]", help="The name of a message type; all types unless given.", show_default=False, autocompletion=type_names
    ),
]


def pause(folder: Folder, kind: AnyType = None, *, by: By = None, why: Why = "", as_json: Json = False) -> None:
    """Start no more deliveries of a type, or of all. Running handlers and publishing go on; a pause outlives restarts."""
    with operated(folder, by, why) as system:
        _note_unknown(system, kind)
        system.admin.pause(kind)
    text = f"{kind or 'all types'}: paused; `perdure resume` continues"
    _say(text, {"act": "pause", "type": kind, "paused": True}, as_json=as_json)


def resume(folder: Folder, kind: AnyType = None, *, by: By = None, why: Why = "", as_json: Json = False) -> None:
    """Continue deliveries of a type, or of all, which also ends the pauses of single types."""
    with operated(folder, by, why) as system:
        _note_unknown(system, kind)
        system.admin.resume(kind)
    _say(f"{kind or 'all types'}: resumed", {"act": "resume", "type": kind, "paused": False}, as_json=as_json)


def scale(
    folder: Folder,
    kind: Type,
    workers: Annotated[int, typer.Argument(metavar="N", help="Workers of its handler, 0 to 10,000.", show_default=False)],
    *,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Set the number of workers of a type's handler; running work is not interrupted, and the number outlives restarts."""
    with operated(folder, by, why) as system:
        system.admin.scale(kind, workers)
    _say(f"{kind}: {workers:,} worker(s)", {"act": "scale", "type": kind, "workers": workers}, as_json=as_json)


def configure(
    folder: Folder,
    kind: Type,
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="OPTION=VALUE...",
            help="timeout, lease (seconds or none), renew (true, false or none), retries, rate (as 100/s).",
            show_default=False,
        ),
    ],
    *,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Change options of a type's handler from its next delivery on, until the code registers other options."""
    options = dict(map(_setting, settings))
    if len(options) < len(settings):
        msg = "an option is given twice"
        raise BadChoice(msg)
    with operated(folder, by, why) as system:
        system.admin.configure(kind, **options)
    _say(f"{kind}: {', '.join(settings)}", {"act": "configure", "type": kind, "options": _jsonable(options)}, as_json=as_json)


def cancel(
    folder: Folder,
    message_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The id of one message; or use --where.", show_default=False)
    ] = None,
    *,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="EXPR", help="All that wait or run and that an expression selects: type=Order key=7."),
    ] = None,
    dry_run: DryRun = False,
    as_counted: AsCounted = None,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Cancel a message that waits or runs, or all that an expression selects. Exit status 1 if it has ended, 5 if it is unknown."""
    if (message_id is None) == (where is None) or (where is None and (dry_run or as_counted is not None)):
        raise BadChoice("name one ID, or choose by --where EXPR; --dry-run and --counted go with --where")
    check_choice(where, as_counted)
    if where is not None:
        with operated(folder, by, why) as system:
            _cancel_where(system.admin, where, as_counted, dry_run=dry_run, as_json=as_json)
        return
    with operated(folder, by, why) as system:
        done = system.cancel(str(message_id), why or "cancelled by an operator")
        if not done and not system.state(str(message_id)).known:
            raise UnknownMessage(f"no message {message_id!r} is known: none was published under that id, or it is forgotten by now")
    text = "cancelled" if done else "has ended already; `perdure timeline` shows how"
    _say(f"{message_id}: {text}", {"act": "cancel", "id": message_id, "cancelled": done}, as_json=as_json)
    if not done:
        raise typer.Exit(1)


def _cancel_where(admin: Admin | ClusterAdmin, where: str, as_counted: str | None, *, dry_run: bool, as_json: bool) -> None:
    counted = counted_for(admin, where, as_counted)
    if dry_run:
        say_counted(counted, "message(s)", as_json=as_json)
        return
    goes_on = "the act is on record, and goes on without this command: the same command with --dry-run shows what is left"
    so_far = partial(console.print, goes_on, soft_wrap=True)
    with shown_progress(console, "cancel: messages", counted.count, unit="messages", so_far=so_far) as step:
        act = admin.cancel_where(counted, progress=lambda act: step(act.changed))
    say_done(act, as_json=as_json)


def run_now(
    folder: Folder,
    message_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The id of a delayed message; or use --schedule.", show_default=False)
    ] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", metavar="NAME", help="Run a tick of this schedule.")] = None,
    *,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Handle a delayed message, or a tick of a schedule, now; the schedule's own ticks go on as they would."""
    if (message_id is None) == (schedule is None):
        raise BadChoice("name one ID of a delayed message, or --schedule NAME")
    with operated(folder, by, why) as system:
        ident = system.admin.run_now(message_id, schedule=schedule)
    row = {"act": "run-now", "id": ident, "schedule": schedule}
    _say(f"{ident}: handled as soon as a handler is free", row, as_json=as_json)


def publish(
    folder: Folder,
    kind: Type,
    fields: Annotated[str, typer.Argument(metavar="JSON", help="The message's fields as a JSON object.", show_default=False)],
    key: Annotated[str | None, typer.Option(help="Its deduplication key.")] = None,
    message_id: Annotated[str | None, typer.Option("--id", help="Its id: publishing the same id twice counts once.")] = None,
    group: Annotated[str | None, typer.Option(help="Its group: handled one at a time, in order.")] = None,
    delay: Annotated[float | None, typer.Option(min=0.0, help="Seconds until it may be handled.")] = None,
    priority: Annotated[int, typer.Option(help="Higher is handled first.")] = 0,
    *,
    subject: Annotated[str | None, typer.Option(help="The person or thing that it is about.")] = None,
    as_json: Json = False,
) -> None:
    """Publish a message and print its id once it is on disk. Its handler must take these fields: nothing here knows them."""
    plain = json_object(fields)
    given: dict[str, Any] = {"key": key, "id": message_id, "group": group, "subject": subject, "delay": delay}
    with operated(folder) as system:
        _note_unknown(system, kind)
        ident = system.publish(
            message_of(kind, plain), priority=priority, **{name: value for name, value in given.items() if value is not None}
        )
    _say(ident, {"act": "publish", "id": ident, "type": kind}, as_json=as_json)


def snapshot(folder: Folder, *, by: By = None, why: Why = "", as_json: Json = False) -> None:
    """Take a snapshot now, so that the next start has less to read."""
    with operated(folder, by, why) as system:
        seq = system.admin.snapshot()
    _say(f"snapshot up to sequence number {seq:,}", {"act": "snapshot", "seq": seq}, as_json=as_json)


COMMANDS: dict[str, Callable[..., None]] = {
    "pause": pause,
    "resume": resume,
    "scale": scale,
    "configure": configure,
    "cancel": cancel,
    "run-now": run_now,
    "publish": publish,
    "snapshot": snapshot,
}


def _note_unknown(system: System | Client | WholeQueue, kind: str | None) -> None:
    """Print a note on standard error that nothing here has this type: it may be misspelt, or not deployed yet."""
    if kind is None or isinstance(system, WholeQueue):  # all partitions would be asked
        return
    try:
        known = {*system.ask("queue", Report()).by_type, *system.ask("dispatcher", Report())}
    except PerdureError:  # this user may act, and not look
        return
    if kind not in known:
        here = f"here are: {', '.join(sorted(known)[:TYPES_NAMED])}" if known else "there is no other type yet"
        note = f"perdure: note: no message of type {kind!r} was published, and no handler registered; {here}"
        Terminal(stderr=True).say_line(note)


def _say(text: str, row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        console.say_line(text)


def _jsonable(options: dict[str, Any]) -> dict[str, Any]:
    """Return options without infinity, which JSON has no number for."""
    return {name: "inf" if value == math.inf else value for name, value in options.items()}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name in NO_OPTIONS:
        msg = f"{shown(text)} is no OPTION=VALUE, for example timeout=30"
        raise BadChoice(msg)
    return name, option_value(value)
