"""`perdure status`: a screen that shows where messages are and how fast they move, drawn anew every second; or one look."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated

import attrs
import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from perdure.actors.core.clock import SystemClock
from perdure.arguments.moments import moment
from perdure.cli.existing_folder import existing_folder
from perdure.cli.look.sparkline import sparkline
from perdure.cli.operated_folder import Folder  # noqa: TC001 - typer reads the annotations
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, inert, one_line
from perdure.operations.watch import Watch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from perdure.operations.watch import Status, TypeStatus

__all__ = ["show_status"]

console = Terminal()

HISTORY = 60
"""Looks that the sparklines draw."""
MINUTE_S = 60
HOUR_S = 3600


def show_status(
    folder: Folder,
    once: Annotated[bool, typer.Option("--once", help="Print one look and end.")] = False,  # noqa: FBT002 - typer reads it so
    every: Annotated[float, typer.Option(min=0.1, max=3600.0, help="Seconds between two looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one look as JSON, for programs.")] = False,  # noqa: FBT002
) -> None:
    """Show where messages are, how fast they move, and what waits longest. Ctrl-C ends it; reads beside a live system."""
    reader = existing_folder(folder)
    clock = SystemClock()
    with shown_progress(console, "folding the log", unit="events") as step:
        watch = Watch(reader, step)
    status = watch.look(clock.now_us())
    if as_json:
        typer.echo(json.dumps({**attrs.asdict(status), "at": f"{moment(status.at_us).isoformat()}"}))
        return
    if once or not console.is_terminal:
        console.print(_screen(reader.address or "", status, {}))
        return
    rates: dict[str, deque[float]] = {}
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            for name in ("published_per_s", "completed_per_s", "failed_per_s"):
                rates.setdefault(name, deque(maxlen=HISTORY)).append(status.total(name))
            live.update(_screen(reader.address or "", status, rates), refresh=True)
            time.sleep(every)
            status = watch.look(clock.now_us())


def _screen(address: str, status: Status, rates: dict[str, deque[float]]) -> RenderableType:
    last = f", last at {moment(status.at_us):%Y-%m-%d %H:%M:%S} UTC" if status.seq else ""
    heading = (
        f"{inert(address)}: {status.seq:,} events{last}\n{status.bytes / 2**20:,.1f} MiB in {status.segments} segment(s) and "
        f"{status.snapshots} snapshot(s)"
    )
    parts: list[RenderableType] = [Text(heading, style="bold"), Text()]
    for name, values in rates.items():
        drawn = sparkline(values, width=HISTORY, floor=0)
        parts.append(one_line(f"{name.removesuffix('_per_s'):<10}{values[-1]:>10,.1f}/s  {drawn}"))
    if rates:
        parts.append(Text())
    parts.append(_table(status) if status.types else Text("no message was ever published in this folder"))
    return Group(*parts)


def _table(status: Status) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("type", overflow="fold", ratio=1)
    for heading in ("ready", "oldest", "in flight", "delayed", "held", "dead", "done/s", "failed/s", "workers"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in status.types:
        table.add_row(
            one_line(row.type, "cyan"),
            _number(row.ready),
            "-" if row.oldest_ready_s is None else _age(row.oldest_ready_s),
            _number(row.in_flight),
            _number(row.delayed),
            _number(row.held),
            Text(_number(row.dead), style="red" if row.dead else ""),
            f"{row.completed_per_s:,.1f}",
            f"{row.failed_per_s:,.1f}",
            _workers(row),
        )
    return table


def _workers(row: TypeStatus) -> Text:
    if row.paused:
        return Text("paused", style="yellow")
    return Text("none" if row.workers is None else f"{row.workers:,}", style="yellow" if not row.workers else "")


def _number(n: int) -> str:
    return f"{n:,}" if n else "-"


def _age(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < HOUR_S else f"{seconds / HOUR_S:,.1f} h"
