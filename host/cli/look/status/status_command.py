"""`perdure status`: a screen that shows where messages are and how fast they move, drawn anew every second; or one look.

Of a queue of several partitions it is the sum over them, and which process owns each. How it looks is in `status_screen`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import attrs
import typer
from rich.console import Group
from rich.live import Live

from perdure.actors.core.clock import SystemClock
from perdure.arguments.moments import moment
from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import print_json
from perdure.cli.look.status.owners_figures import Figures, OwnersFigures
from perdure.cli.look.status.queue_watch import QueueWatch
from perdure.cli.look.status.status_screen import HISTORY, handlers_table, partitions_table, screen, size
from perdure.cli.operated_folder import Folder
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line
from perdure.operations.watch import Watch, summed
from perdure.store import checked_address, is_postgres, partition_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from perdure.operations.watch import Status

    Rates = Mapping[str, deque[float]]

__all__ = ["show_status"]

console = Terminal()
LOW_BYTES = 64 << 20
"""So little room that a segment of the usual size does not fit."""


class _Looked(Protocol):
    """What `perdure status` shows: one log, or all logs of a queue."""

    def look(self, now_us: int) -> Status:
        """Return what is true now."""

    def screen(self, status: Status, rates: Rates) -> RenderableType:
        """Return what a person sees of a look."""

    def rows(self, status: Status) -> list[dict[str, Any]]:
        """Return what a program reads of a look, a line each."""

    def close(self) -> None:
        """Disconnect."""


def show_status(
    folder: Folder,
    once: Annotated[bool, typer.Option("--once", help="Print one look and end.")] = False,
    every: Annotated[float, typer.Option(min=0.1, max=3600.0, help="Seconds between two looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one look as JSON, for programs.")] = False,
) -> None:
    """Show where messages are, how fast they move, and what waits longest. Ctrl-C ends it; reads beside a live system."""
    addresses = partition_addresses(checked_address(folder))
    looked: _Looked = _Queue(folder, addresses) if addresses else _Log(folder)
    with contextlib.closing(looked):
        status = looked.look(SystemClock().now_us())
        if as_json:
            for row in looked.rows(status):
                print_json(row)
        elif once or not console.is_terminal:
            console.print(looked.screen(status, {}))
        else:
            _draw(looked, status, every)


def _draw(looked: _Looked, status: Status, every: float) -> None:
    clock = SystemClock()
    rates: dict[str, deque[float]] = {}
    with Live(console=console, auto_refresh=False, screen=True) as live:
        live.update(looked.screen(status, rates), refresh=True)
        while True:
            time.sleep(every)
            status = looked.look(clock.now_us())
            for name in ("published_per_s", "completed_per_s", "failed_per_s"):
                rates.setdefault(name, deque(maxlen=HISTORY)).append(status.total(name))
            live.update(looked.screen(status, rates), refresh=True)


class _Log:
    """One log."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        reader = existing_folder(folder)
        self._address = reader.address or ""
        with shown_progress(console, "folding the log", unit="events") as step:
            self._watch = Watch(reader, step)
        self._owner = OwnersFigures(folder)

    def look(self, now_us: int) -> Status:
        """See `_Looked.look`."""
        return self._watch.look(now_us)

    def screen(self, status: Status, rates: Rates) -> RenderableType:
        """See `_Looked.screen`."""
        figures = self._owner.look()
        free = _free_bytes(self._folder)
        rest = "" if free is None else f"; {size(free)} free on the disk"
        if free is not None and free < LOW_BYTES:
            rest += "\nthe disk is nearly full: `perdure doctor FOLDER` says what to do"
        if figures is not None and figures.spilled_bytes:
            rest += f"\n{size(figures.spilled_bytes)} of waiting payloads on disk instead of in memory"
        return screen(self._address, status, rates, rest, [] if figures is None else _below(figures), now_us=_now_us())

    def rows(self, status: Status) -> list[dict[str, Any]]:
        """See `_Looked.rows`."""
        figures = self._owner.look()
        return [{**_row(status), "disk_free_bytes": _free_bytes(self._folder), **_own(figures)}]

    def close(self) -> None:
        """See `_Looked.close`."""
        self._owner.close()


class _Queue:
    """All partitions of a queue."""

    def __init__(self, address: str, addresses: dict[int, str]) -> None:
        self._addresses = addresses
        with shown_progress(console, "folding the logs", unit="events") as step:
            self._watch = QueueWatch(address, addresses, step)

    def look(self, now_us: int) -> Status:
        """See `_Looked.look`."""
        self._watch.look(now_us)
        return summed([status for status in self._watch.looks.values() if status is not None])

    def screen(self, status: Status, rates: Rates) -> RenderableType:
        """See `_Looked.screen`."""
        rest = f"; {len(self._addresses)} partitions"
        below: list[RenderableType] = [partitions_table(self._watch.looks, self._watch.owners())]
        return screen(self._watch.address, status, rates, rest, below, now_us=_now_us())

    def rows(self, status: Status) -> list[dict[str, Any]]:
        """See `_Looked.rows`: a line for each partition, and one for all of them, whose partition is null."""
        rows: list[dict[str, Any]] = []
        for number, one in self._watch.looks.items():
            if one is not None:
                with contextlib.closing(OwnersFigures(self._addresses[number])) as owner:
                    figures = owner.look()
                rows.append({"partition": number, **_row(one), "disk_free_bytes": None, **_own(figures)})
        owners = [attrs.asdict(info) for info in self._watch.owners().values()]
        return [*rows, {"partition": None, **_row(status), "partitions": owners}]

    def close(self) -> None:
        """See `_Looked.close`."""
        self._watch.close()


def _now_us() -> int:
    return SystemClock().now_us()


def _below(figures: Figures) -> list[RenderableType]:
    """Return what an owner reports about itself, below the types."""
    below: list[RenderableType] = [handlers_table(figures.handlers)] if figures.handlers else []
    if figures.deputies:
        lines = (f"deputy {one.name} ({one.pid}): has folded the log up to event {one.seq:,}" for one in figures.deputies)
        below.append(Group(*map(one_line, lines)))
    return below


def _own(figures: Figures | None) -> dict[str, Any]:
    return {name: figures and getattr(figures, name) for name in Figures._fields}


def _row(status: Status) -> dict[str, Any]:
    return {**attrs.asdict(status), "at": moment(status.at_us)}


def _free_bytes(folder: str) -> int | None:
    """Return how many bytes are free where the folder is; None for a database."""
    if is_postgres(folder):
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
