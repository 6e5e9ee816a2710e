"""`perdure demo`: start the worker process, which kills itself by SIGKILL, start it again, and print a count of the results.

Not here: orders and handlers (`orders`), the worker process (`child`), and the counting (`tally`).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from perdure.demo.tally import Tally, tally
from perdure.events.errors import PerdureError
from perdure.events.safe_text import inert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from perdure.operations.reading.record import Record

__all__ = ["SHIPPED", "DemoFailed", "demo", "timeline_table"]

SHIPPED = Path(__file__).with_name("orders.jsonl")
REASONS_SHOWN = 5
LOG_CHARS_SHOWN = 2_000
LONG_TEXT_CHARS = 70


class DemoFailed(PerdureError):
    """The worker process failed."""


@attrs.define
class _Deaths:
    actors: list[str] = attrs.field(factory=list)
    processes: int = 0


def demo(console: Console, source: Path, work: Path, kills: int) -> bool:
    """Run the demo on a file of orders in an empty folder, and print its result.

    Returns:
        Whether nothing was lost, doubled or damaged.

    Raises:
        DemoFailed: the worker process failed; the text has the end of its log.
    """
    began_s = time.monotonic()
    folder, output = work / "log", work / "receipts.jsonl"
    deaths = _Deaths()
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for kill_count in (kills, -1):
            _work(progress, [str(folder), str(source), str(output), str(kill_count)], work / "child.log", deaths)
    found = tally(folder, source, output)
    _print_result(console, found, deaths, time.monotonic() - began_s)
    return found.ok


def _work(progress: Progress, args: list[str], log: Path, deaths: _Deaths) -> None:
    finishes = args[-1] == "-1"
    task = progress.add_task("finishing" if finishes else "orders", total=None)
    with (
        log.open("ab") as errors,
        subprocess.Popen(  # noqa: S603 - this interpreter, this package
            [sys.executable, "-m", "perdure.demo.child", *args], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child,
    ):
        try:
            for text in child.stdout or ():
                values = json.loads(text)
                if "killed" in values:
                    deaths.actors.append(values["killed"])
                    progress.update(task, description=f"killed actor {values['killed']}")
                else:
                    progress.update(task, completed=values["progress"], total=values["total"])
        except BaseException:
            child.kill()  # no process outlives an interrupted demo
            raise
    if not finishes and child.returncode == -signal.SIGKILL:
        deaths.processes += 1
        progress.update(task, description="killed the process (SIGKILL)")
    elif not finishes or child.returncode:
        end = log.read_text(errors="replace")[-LOG_CHARS_SHOWN:]
        raise DemoFailed(f"the worker process ended with status {child.returncode}; the end of its log:\n{end}")


def _print_result(console: Console, found: Tally, deaths: _Deaths, took_s: float) -> None:
    checked = found.verification
    table = Table(title=f"{found.lines:,} order lines in {took_s:.1f} s", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("messages published", f"{found.published:,}"),
        ("completed", f"{found.completed:,}"),
        ("retried", f"{found.retried:,}"),
        ("dead-lettered", f"{len(found.reasons):,}"),
        ("receipts written", f"{found.receipts:,}"),
        ("actor kills survived", str(len(deaths.actors))),
        ("restarts of actors on record", f"{found.restarts:,}"),
        ("process kills survived", str(deaths.processes)),
        ("lost", _zero_is_good(found.lost)),
        ("doubled", _zero_is_good(found.doubled)),
        ("events on disk", f"{checked.events:,}"),
        ("bytes per message, with all its history", f"{checked.bytes / max(found.published, 1):.0f}"),
        ("verify", Text("whole", "green") if checked.ok else Text(f"{len(checked.findings)} finding(s)", "red")),
    ):
        table.add_row(name, value)
    console.print(table)
    for reason in found.reasons[:REASONS_SHOWN]:
        console.print(Text(inert(f"dead letter: {_short(reason)}")), soft_wrap=True)
    if len(found.reasons) > REASONS_SHOWN:
        console.print(f"... and {len(found.reasons) - REASONS_SHOWN} more dead letters")
    if found.timeline:
        console.print(timeline_table("All events of one message that failed", found.timeline))


def timeline_table(title: str, records: Iterable[Record]) -> Table:
    """Return a timeline as a table."""
    table = Table(title=title)
    for name in ("seq", "at (UTC)", "actor", "event", "detail"):
        table.add_column(name, no_wrap=name != "detail")
    for record in records:
        event = record.event
        shown = ("type", "attempt", "reason", "exception", "message")
        detail = ", ".join(f"{name} {_short(str(value))}" for name in shown if (value := getattr(event, name, None)))
        when = record.at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
        table.add_row(str(record.seq), when, record.actor, type(event).__name__, Text(inert(detail)))
    return table


def _zero_is_good(count: int) -> Text:
    return Text(f"{count:,}", "red") if count else Text("0", "green")


def _short(text: str) -> str:
    return text if len(text) <= LONG_TEXT_CHARS else text[: LONG_TEXT_CHARS - 1] + "…"
