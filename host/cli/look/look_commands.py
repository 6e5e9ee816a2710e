"""Commands that look into history and change nothing: `explain`, `state`, `diff`, `search` and `tail`.

They read the log beside a live system, and take no lock. What they print comes from `perdure.Audit`; other reports are in `main`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from perdure.cli.existing_folder import before_the_log, existing_folder
from perdure.cli.json_output import PARTITION, Json, at_partition, print_json, row_of
from perdure.cli.look.folder_report import DETAILS, record_row, short
from perdure.cli.look.follow_all import follow_all, last_of_all
from perdure.cli.look.tail_filter import TailFilter, quoted
from perdure.cli.named_rows import NOTHING, Named, NamedRows
from perdure.cli.operated_folder import BadChoice, Folder
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line
from perdure.cli.typed_moments import HELP, Since, Until, position
from perdure.cli.whole.each_partition import each_partition, together
from perdure.events.queue.searching.expression import is_expression
from perdure.operations.audit import Audit
from perdure.store import checked_address, partition_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text

    from perdure.operations.metrics import Metrics
    from perdure.operations.reading.record import Record
    from perdure.operations.reading.search import Found

__all__ = ["COMMANDS"]

console = Terminal()

FOUND = ("type", "key", "published (UTC)", "seq")
"""What `search` prints about a message, besides its id."""
LINES_MAX = 1_000_000
POLL_S = 0.2
"""How often `tail -f` looks whether the log has grown."""

Ident = Annotated[str, typer.Argument(metavar="ID", help="The id of a message.", show_default=False)]
At = Annotated[str | None, typer.Option("--at", metavar="POSITION", help=f"What was true then: {HELP}.")]


@each_partition
def explain(folder: Folder, message_id: Ident, at: At = None, as_json: Json = False) -> None:
    """Say where a message is, what it waits for, since when, and what comes next."""
    existing_folder(folder)
    with shown_progress(console, "reading the log", unit="events") as step:
        text = Audit(folder).explain(message_id, at=position(at), progress=step)
    print_json({"id": message_id, "explanation": text}) if as_json else console.print(one_line(text))


@each_partition
def state(folder: Folder, at: At = None, as_json: Json = False) -> None:
    """Show the counts over all types, now or at any past moment that the folder keeps; `stats --at` has them by type."""
    metrics = _state(folder, at)
    if as_json:
        print_json(_counts(metrics))
        return
    if not metrics.seq and at is not None:
        console.print(one_line(before_the_log(existing_folder(folder))))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _counts(metrics).items():
        table.add_row(name, _shown(value))
    console.print(table)


@each_partition
def diff(
    folder: Folder,
    before: Annotated[str, typer.Argument(metavar="A", help=f"The earlier position: {HELP}.", show_default=False)],
    after: Annotated[str | None, typer.Argument(metavar="[B]", help="The later one; now unless given.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Show what changed between two moments: counts that differ, and the acts of operators in between."""
    first, last = _state(folder, before), _state(folder, after)
    changed = {
        name: (was, now) for (name, was), now in zip(_counts(first).items(), _counts(last).values(), strict=True) if was != now
    }
    acts = list(Audit(folder).acts(since=first.seq + 1, until=last.seq)) if last.seq > first.seq else []
    if as_json:
        print_json({"changed": changed, "acts": [row_of(act) for act in acts]})
        return
    table = Table("what", "before", "after", "change", box=None, pad_edge=False)
    for name, (was, now) in changed.items():
        change = f"{now - was:+,}" if isinstance(was, int) and isinstance(now, int) else ""
        table.add_row(name, _shown(was), _shown(now), change)
    console.print(table if changed else "nothing changed")
    for act in acts:
        why = f": {act.reason}" if act.reason else ""
        console.print(one_line(f"{act.at:%H:%M:%S} {act.principal} did {act.action} {act.subject} ({act.count:,}){why}"))


def _search_all(addresses: dict[int, str], expression: list[str], since: str | None, until: str | None, limit: int) -> None:
    """Show what a search finds in all partitions as one list, by the time of publication."""
    words, found = _expression(expression), 0
    newest: list[tuple[int | None, Found]] = []
    begins = []
    for number, address in addresses.items():
        reader = existing_folder(address)
        begins.append(reader.first_seq)
        last: deque[Found] = deque(maxlen=limit)
        for one in Audit(store=reader).search(words, since=position(since), until=position(until)):
            last.append(one)
            found += 1
        newest += [(number, one) for one in last]
    newest.sort(key=lambda one: (one[1].at, one[0] or 0, one[1].seq))
    back = "where the log of each begins" if max(begins) > 1 else "the beginning"
    _print_found(newest[-limit:], found, since or back, f" in {len(addresses)} partitions")


@together(_search_all)
def search(
    folder: Folder,
    expression: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=VALUE...",
            help="id, type, key, group, subject, correlation, causation, priority, header.NAME, payload.PATH, error, reason or "
            "event; with = != ~ (contains) > or <. All must hold.",
            show_default=False,
        ),
    ],
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=LINES_MAX, help="The most messages to list: the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Find messages by what they are and what happened to them, and print how far back the log was searched."""
    reader = existing_folder(folder)
    words = _expression(expression)
    newest: deque[Found] = deque(maxlen=limit)
    found = 0
    for found, one in enumerate(Audit(folder).search(words, since=position(since), until=position(until)), 1):  # noqa: B007 - counted
        newest.append(one)
    if as_json:
        print_json([row_of(one) for one in newest])
        return
    back = (
        "the beginning" if since is None and reader.first_seq <= 1 else since or f"sequence {reader.first_seq:,}, where it begins"
    )
    _print_found([(None, one) for one in newest], found, back)


def _print_found(newest: Sequence[tuple[int | None, Found]], found: int, back: str, where: str = "") -> None:
    """Print messages that a search has found, each with its partition where there are several; and how far back it went."""
    rows = []
    for number, one in newest:
        texts: list[Text | str] = [one_line(one.type), one_line(one.key or NOTHING), f"{one.at:%Y-%m-%d %H:%M:%S}", str(one.seq)]
        rows.append(Named(one_line(one.id), texts if number is None else [str(number), *texts]))
    if rows:
        headings = FOUND if newest[0][0] is None else ("partition", *FOUND)
        console.print(NamedRows("id", headings, rows, texts=headings[:-1]))
    shown = f"; the newest {len(rows):,} are shown" if found > len(rows) else ""
    console.print(one_line(f"{found:,} message(s) found{where}{shown}; looked back to {back}"))


def _tail_all(addresses: dict[int, str], lines: int, **chosen: Any) -> None:
    """Show the last events of all partitions as one list, by their times."""
    message_id, kind = chosen.pop("message_id"), chosen.pop("kind")
    for _, number, record in last_of_all(addresses, _only(**chosen), lines, type=kind, message_id=message_id):
        with at_partition(number):
            _print_record(record, as_json=False)


@together(_tail_all)
def tail(
    folder: Folder,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until interrupted.")] = False,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=0, max=LINES_MAX, help="How many of the last events to begin with.")
    ] = 20,
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this class, or about messages of this type.")] = None,
    message_id: Annotated[str | None, typer.Option("--id", help="Only events about this message.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only events about messages with this key.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only events about messages of this group.")] = None,
    correlation: Annotated[str | None, typer.Option("--correlation", help="Only events about messages with this one.")] = None,
    error: Annotated[str | None, typer.Option("--error", metavar="TEXT", help="Only events with such an error.")] = None,
    where: Annotated[str | None, typer.Option("--where", metavar="EXPR", help="Only events about what this selects.")] = None,
    as_json: Json = False,
) -> None:
    """Show the last events, and with -f those that follow."""
    only = _only(key, group, correlation, error, where)
    if follow and (addresses := partition_addresses(checked_address(folder))):
        follow_all(addresses, only, lines, lambda record: _print_record(record, as_json=as_json), type=kind, message_id=message_id)
        return
    existing_folder(folder)
    last: deque[Record] = deque(maxlen=lines)
    is_new = False
    for record in Audit(folder).follow(lambda: time.sleep(POLL_S), type=kind, message_id=message_id):
        if record is not None and not only.passes(record):
            continue
        if record is not None and not is_new:
            last.append(record)
        elif record is not None:
            _print_record(record, as_json=as_json)
        elif not is_new:
            is_new = True
            for shown in last:
                _print_record(shown, as_json=as_json)
            if not follow:
                return


def _only(key: str | None, group: str | None, correlation: str | None, error: str | None, where: str | None) -> TailFilter:
    """Return which events `tail` shows."""
    given = {"key=": key, "group=": group, "correlation=": correlation, "error~": error}
    words = [f"{field}{value}" for field, value in given.items() if value is not None]
    return TailFilter(" ".join([*map(quoted, words), where or ""]).strip())


COMMANDS: dict[str, Callable[..., None]] = {
    "explain": explain,
    "state": state,
    "diff": diff,
    "search": search,
    "tail": tail,
}


def _state(folder: str, at: str | None) -> Metrics:
    existing_folder(folder)
    where = position(at)
    with shown_progress(console, "folding the log", unit="events"):
        return Audit(folder).state_at(where if where is not None else 1 << 62)


def _counts(metrics: Metrics) -> dict[str, Any]:
    """Return what of the metrics an audit knows."""
    return {name: value for name, value in attrs.asdict(metrics, recurse=False).items() if isinstance(value, int | dt.datetime)}


def _shown(value: int | dt.datetime) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _expression(words: list[str]) -> str:
    """Return the words of a shell as one expression: each is a condition, or an expression by itself (of several, or quoted)."""
    if not all(words):
        msg = "an empty word is no condition; write FIELD=VALUE"
        raise BadChoice(msg)
    return " ".join(word if is_expression(word) else quoted(word) for word in words)


def _print_record(record: Record, *, as_json: bool) -> None:
    if as_json:
        print_json(record_row(record))
        return
    details = {name: value for name in DETAILS if (value := getattr(record.event, name, None)) not in (None, "", 0)}
    texts = ", ".join(f"{name} {short(str(value))}" for name, value in details.items())
    of = "" if (number := PARTITION.get()) is None else f"{number:>4}/"
    line = one_line(f"{of}{record.seq:>8} {record.at:%H:%M:%S.%f} {record.name} {record.message_id or ''} {texts}".rstrip())
    console.print(line, soft_wrap=not console.is_terminal)  # what a pipe leads to looks for whole lines
