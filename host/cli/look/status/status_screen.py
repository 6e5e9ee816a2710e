"""The screen of `perdure status`: counts by type, what an owner reports about its handlers, and the partitions of a queue.

`perdure.operations.watch` reads the counts, of a whole queue `queue_watch`; `status_command` decides when it is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from perdure.arguments.moments import moment
from perdure.cli.look.status.sparkline import sparkline
from perdure.cli.named_rows import NOTHING, Named, NamedRows
from perdure.cli.terminal import inert, one_line

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping

    from rich.console import RenderableType

    from perdure.cluster.partition_info import PartitionInfo
    from perdure.operations.metrics import HandlerInfo
    from perdure.operations.reading.stuck_groups import StuckGroup
    from perdure.operations.watch import Status, TypeStatus

__all__ = ["HISTORY", "handlers_table", "partitions_table", "screen", "size"]

HISTORY = 60
"""Looks that the sparklines draw."""
MINUTE_S = 60
HOUR_S = 3600


def screen(
    address: str, status: Status, rates: Mapping[str, deque[float]], rest: str, below: list[RenderableType], *, now_us: int
) -> RenderableType:
    """Return a look at a log, or at all logs of a queue.

    Args:
        address: of the log or the queue.
        status: what was found.
        rates: by count, its rates in the last looks; empty at the first look, which knows none.
        rest: the end of the heading.
        below: what comes below the table of types.
        now_us: when, in microseconds since the epoch.
    """
    last = f", last at {moment(status.at_us):%Y-%m-%d %H:%M:%S} UTC" if status.seq else ""
    heading = (
        f"{inert(address)}: {status.seq:,} events{last}\n{status.bytes / 2**20:,.1f} MiB in {status.segments} segment(s) and "
        f"{status.snapshots} snapshot(s){rest}"
    )
    parts: list[RenderableType] = [Text(heading, style="bold"), Text()]
    for name, values in rates.items():
        drawn = sparkline(values, width=HISTORY, floor=0)
        parts.append(one_line(f"{name.removesuffix('_per_s'):<10}{values[-1]:>10,.1f}/s  {drawn}"))
    if rates:
        parts.append(Text())
    parts.append(_table(status, has_rates=bool(rates)) if status.types else Text("no message was ever published in this folder"))
    if status.stuck:
        parts += [Text(), *(_stuck(group, now_us) for group in status.stuck)]
    for part in below:
        parts += [Text(), part]
    return Group(*parts)


def _stuck(group: StuckGroup, now_us: int) -> Text:
    """Return a stuck group with the message to look at: the way on is `perdure explain`, then `cancel`."""
    return one_line(f"{group.told(now_us)}: {group.head_type} {group.head}", "yellow")


def partitions_table(looks: Mapping[int, Status | None], owners: Mapping[int, PartitionInfo]) -> Table:
    """Return what each partition of a queue has, and which process owns it; None is one without a log."""
    table = Table(box=None, pad_edge=False)
    table.add_column("partition", no_wrap=True)
    for heading in ("ready", "in flight", "delayed", "dead", "events", "lag", "epoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("owner", overflow="fold", ratio=1)
    for number, status in looks.items():
        counts = [_number(int(status.total(name))) if status else "-" for name in ("ready", "in_flight", "delayed", "dead")]
        info = owners.get(number)
        owner = one_line(info.owner) if info is not None and info.owner else Text("none", style="yellow")
        known = [_number(info.lag), _number(info.epoch)] if info is not None else ["-", "-"]
        table.add_row(f"partition {number}", *counts, _number(status.seq) if status else "-", *known, owner)
    return table


def handlers_table(handlers: dict[str, HandlerInfo]) -> NamedRows:
    """Return what the owner reports about its handlers: how long messages wait and run, and in which processes."""
    rows = []
    for name, info in handlers.items():
        times = (info.wait_p50_s, info.wait_p95_s, info.wait_p99_s, info.run_p50_s, info.run_p95_s, info.run_p99_s)
        places = ", ".join(f"{one.name or 'owner'} ({one.pid}): {one.active}/{one.workers}" for one in info.processes)
        has_run = info.processed or info.failed
        figures = [*(_time(seconds) if has_run else NOTHING for seconds in times), f"{info.active}/{info.workers}"]
        rows.append(Named(one_line(name, "cyan"), figures, one_line(places)))
    headings = ("wait p50", "p95", "p99", "run p50", "p95", "p99", "busy")
    return NamedRows("handler", headings, rows, "processes")


def _time(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else _age(seconds)


def size(n: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{n / 2**30:,.1f} GiB" if n >= 1 << 30 else f"{n / 2**20:,.1f} MiB"


def _table(status: Status, *, has_rates: bool) -> NamedRows:
    headings = ("ready", "oldest", "in flight", "delayed", "held", "dead", "done/s", "failed/s", "workers")
    return NamedRows(
        "type", headings, [Named(one_line(row.type, "cyan"), _figures(row, has_rates=has_rates)) for row in status.types]
    )


def _figures(row: TypeStatus, *, has_rates: bool) -> list[Text | str]:
    return [
        _number(row.ready),
        "-" if row.oldest_ready_s is None else _age(row.oldest_ready_s),
        _number(row.in_flight),
        _number(row.delayed),
        _number(row.held),
        Text(_number(row.dead), style="red" if row.dead else ""),
        f"{row.completed_per_s:,.1f}" if has_rates else NOTHING,
        f"{row.failed_per_s:,.1f}" if has_rates else NOTHING,
        _workers(row),
    ]


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
