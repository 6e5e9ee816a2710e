"""Progress of long commands: a bar on a terminal, lines elsewhere, and a summary when one is interrupted.

Not here: the work of a command and the result that it prints.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from typing import TYPE_CHECKING, Protocol

import typer
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from perdure.cli.interrupts import Terminated
from perdure.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import Task

__all__ = ["Step", "shown_progress"]

LINE_EVERY_S = 5.0
DRAW_EVERY_S = 0.1


class _Reached(ProgressColumn):
    """The part that is done; where the whole is not known, how much is."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        return Text(f"{task.completed:,.0f} {self._unit}".rstrip() if task.total is None else f"{task.percentage:>3.0f} %")


class Step(Protocol):
    """A callback that reports progress."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Show that `done` of `total` units are done; the total may become known later."""


@contextlib.contextmanager
def shown_progress(
    console: Console,
    what: str,
    total: int | None = None,
    *,
    unit: str = "",
    so_far: Callable[[], None] | None = None,
    is_result: bool = False,
) -> Iterator[Step]:
    """Show the progress of a block; yields `step(done, total=None)`, to be called in the thread that entered the block.

    On a terminal it draws a bar and removes it at the end; elsewhere it prints a line every five seconds. What is piped into
    another program gets none of these lines: they go to standard error.

    Args:
        console: where to show it.
        what: the work, for example "checking".
        total: the amount of work, where it is known.
        unit: the unit of `done` and `total`, for example "bytes".
        so_far: called when the work is interrupted, to print the results until then.
        is_result: the progress is what the command prints, so it belongs to standard output.

    Raises:
        typer.Exit: SIGINT or SIGTERM interrupted the work, and its progress was printed. The status is 128 plus the signal's
        number.
    """
    if not is_result and not console.is_terminal and console.file is sys.stdout:
        console = Terminal(stderr=True)
    began_s = time.monotonic()
    shown_s = began_s
    reached, whole = 0, total
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _Reached(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Refreshed by `step`: a command that forks must not have a thread that draws.
    with Progress(*columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def step(done: int, total: int | None = None) -> None:
            nonlocal reached, whole, shown_s
            reached, whole = done, total or whole
            at_s = time.monotonic()
            if console.is_terminal:
                bar.update(task, completed=reached, total=whole)
                if at_s > shown_s + DRAW_EVERY_S or reached == whole:
                    shown_s = at_s
                    bar.refresh()
            elif at_s > shown_s + LINE_EVERY_S:
                shown_s = at_s
                console.print(Text(_progress_line(what, reached, whole, unit, at_s - began_s)), soft_wrap=True)

        try:
            yield step
        except KeyboardInterrupt as asked:
            bar.stop()
            console.print(
                Text(f"interrupted: {_progress_line(what, reached, whole, unit, time.monotonic() - began_s)}"), soft_wrap=True
            )
            if so_far is not None:
                so_far()
            number = signal.SIGTERM if isinstance(asked, Terminated) else signal.SIGINT
            raise typer.Exit(128 + number) from asked


def _progress_line(what: str, done: int, total: int | None, unit: str, took_s: float) -> str:
    of = f" of {total:,}" if total else ""
    return f"{what}: {done:,}{of}{' ' if unit else ''}{unit} in {took_s:,.1f} s"
