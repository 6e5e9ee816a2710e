"""`perdure status`: a screen that shows where messages are and how fast they move, drawn anew every second; or one look."""

from __future__ import annotations

import contextlib
import shutil
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
from perdure.cli.json_output import PARTITION, print_json
from perdure.cli.look.owners_figures import Figures, OwnersFigures
from perdure.cli.look.sparkline import sparkline
from perdure.cli.operated_folder import Folder  # noqa: TC001 - typer reads the annotations
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, inert, one_line
from perdure.cli.whole.each_partition import each_partition
from perdure.operations.watch import Watch
from perdure.store import is_postgres

if TYPE_CHECKING:
    from rich.console import RenderableType

    from perdure.operations.metrics import HandlerInfo
    from perdure.operations.watch import Status, TypeStatus

__all__ = ["show_status"]

console = Terminal()

HISTORY = 60
"""Looks that the sparklines draw."""
MINUTE_S = 60
HOUR_S = 3600


@each_partition
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
    owner = OwnersFigures(folder)
    with contextlib.closing(owner):
        if as_json:
            figures = owner.look()
            own = {name: figures and getattr(figures, name) for name in Figures._fields}
            print_json({**attrs.asdict(status), "at": moment(status.at_us), "disk_free_bytes": _free_bytes(folder), **own})
        elif once or not console.is_terminal or PARTITION.get() is not None:
            console.print(_screen(folder, reader.address or "", status, {}, owner.look()))
        else:
            _draw(folder, reader.address or "", watch, status, owner, every)


def _draw(folder: str, address: str, watch: Watch, status: Status, owner: OwnersFigures, every: float) -> None:
    clock = SystemClock()
    rates: dict[str, deque[float]] = {}
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            for name in ("published_per_s", "completed_per_s", "failed_per_s"):
                rates.setdefault(name, deque(maxlen=HISTORY)).append(status.total(name))
            live.update(_screen(folder, address, status, rates, owner.look()), refresh=True)
            time.sleep(every)
            status = watch.look(clock.now_us())


def _screen(folder: str, address: str, status: Status, rates: dict[str, deque[float]], figures: Figures | None) -> RenderableType:
    last = f", last at {moment(status.at_us):%Y-%m-%d %H:%M:%S} UTC" if status.seq else ""
    free = _free_bytes(folder)
    room = "" if free is None else f"; {_size(free)} free on the disk"
    spill = "" if figures is None else f"\n{_size(figures.spilled_bytes)} of waiting payloads on disk instead of in memory"
    heading = (
        f"{inert(address)}: {status.seq:,} events{last}\n{status.bytes / 2**20:,.1f} MiB in {status.segments} segment(s) and "
        f"{status.snapshots} snapshot(s){room}{spill if figures and figures.spilled_bytes else ''}"
    )
    parts: list[RenderableType] = [Text(heading, style="bold"), Text()]
    for name, values in rates.items():
        drawn = sparkline(values, width=HISTORY, floor=0)
        parts.append(one_line(f"{name.removesuffix('_per_s'):<10}{values[-1]:>10,.1f}/s  {drawn}"))
    if rates:
        parts.append(Text())
    parts.append(_table(status) if status.types else Text("no message was ever published in this folder"))
    if figures is not None and figures.handlers:
        parts += [Text(), _handlers_table(figures.handlers)]
    if figures is not None and figures.deputies:
        parts.append(Text())
    for deputy in () if figures is None else figures.deputies:
        parts.append(one_line(f"deputy {deputy.name} ({deputy.pid}): has folded the log up to event {deputy.seq:,}"))
    return Group(*parts)


def _handlers_table(handlers: dict[str, HandlerInfo]) -> Table:
    """Return what the owner says of its handlers: how long messages wait and run, and in which processes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("handler", overflow="fold", ratio=1)
    for heading in ("wait p50", "p95", "p99", "run p50", "p95", "p99", "busy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("processes", overflow="fold", ratio=1)
    for name, info in handlers.items():
        times = (info.wait_p50_s, info.wait_p95_s, info.wait_p99_s, info.run_p50_s, info.run_p95_s, info.run_p99_s)
        places = ", ".join(f"{one.name or 'owner'} ({one.pid}): {one.active}/{one.workers}" for one in info.processes)
        table.add_row(one_line(name, "cyan"), *map(_time, times), f"{info.active}/{info.workers}", one_line(places))
    return table


def _time(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else _age(seconds)


def _size(n: int) -> str:
    return f"{n / 2**30:,.1f} GiB" if n >= 1 << 30 else f"{n / 2**20:,.1f} MiB"


def _free_bytes(folder: str) -> int | None:
    """Return how many bytes are free where the folder is; None for a database."""
    if is_postgres(folder):
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


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
