"""The output of a soak: progress while it runs, a table at its end, and a plot.

Measuring is in `readings`, judging in `trend`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from perdure.chaos.soak.readings import judged as judged_part
from perdure.chaos.soak.trend import trend
from perdure.cli.look.status.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from perdure.chaos.soak.readings import Reading
    from perdure.chaos.soak.soak import Soak

__all__ = ["SoakView", "check_plot", "plot", "summary"]

SHOWN = {
    "waiting": "waiting",
    "dead_letters": "dead letters",
    "rss_mib": "memory, MiB",
    "blocks": "memory blocks",
    "native_mib": "native memory, MiB",
    "files": "file handles",
    "threads": "threads",
    "disk_mib": "disk, MiB",
}
SPARK_CHARS = 24
PLOTS = (".png", ".svg", ".pdf")


class SoakView:
    """A progress bar and a table on a terminal; in a file or a pipe, a line for each reading."""

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._readings: list[Reading] = []
        self._progress = Progress(TextColumn("soak"), BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._task = self._progress.add_task("soak", total=seconds)
        self._live = Live(self._draw(), console=console, refresh_per_second=1, transient=True)

    def __enter__(self) -> Self:
        """Start the live display, if there is a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the live display."""
        self._live.stop()

    def each_second(self, at_s: float) -> None:
        """Move the progress bar to so many seconds."""
        self._progress.update(self._task, completed=at_s)

    def add(self, reading: Reading) -> None:
        """Show a reading."""
        self._readings.append(reading)
        if self._console.is_terminal:
            self._live.update(self._draw())
            return
        fields = ", ".join(f"{label} {getattr(reading, name):,}" for name, label in SHOWN.items())
        self._console.print(
            f"{reading.at_s:,.0f} s: published {reading.published:,}, completed {reading.completed:,}, "
            f"{fields}, kills {reading.kills:,}",
            soft_wrap=True,
        )

    def _draw(self) -> Group:
        if not self._readings:
            return Group(self._progress, "no reading yet")
        last = self._readings[-1]
        title = f"published {last.published:,}, completed {last.completed:,}, kills survived {last.kills:,}"
        return Group(self._progress, _table(title, self._readings))


def _table(title: str, readings: Sequence[Reading], judged: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("over the run", no_wrap=True)
    for name in ("lowest", "highest", "last"):
        table.add_column(name, justify="right", no_wrap=True)
    if judged:
        table.add_column("growth", justify="right", no_wrap=True)
    for name, label in {**SHOWN, **{n: n.replace("_", " ") for n in judged if n not in SHOWN}}.items():
        values = [getattr(reading, name) for reading in readings]
        row = [label, sparkline(values, width=SPARK_CHARS), *(f"{value:,.9g}" for value in (min(values), max(values), values[-1]))]
        if judged:
            part = judged_part(readings)
            found = trend([r.at_s for r in part], [getattr(r, name) for r in part]) if name in judged else None
            row.append("" if name not in judged else "too short" if found is None else f"{found.growth:+.1f}")
        table.add_row(*row)
    return table


def summary(soak: Soak) -> Table:
    """Return the table of a finished run."""
    last = soak.readings[-1]
    title = (
        f"{last.at_s:,.0f} s: {last.published:,} published, {last.completed:,} completed, {last.dead_lettered:,} dead-lettered, "
        f"{last.replayed:,} replayed, {last.purged:,} purged; {last.kills:,} kills survived (slowest return "
        f"{soak.slowest_return_s:.2f} s), {last.snapshots:,} snapshots, {last.segments_retired:,} segments retired"
    )
    return _table(title, soak.readings[:-1] or soak.readings, soak.judged)


def check_plot(path: Path) -> None:
    """Check before a long run that its plot can be made.

    Raises:
        typer.BadParameter: matplotlib or the folder is missing, or the suffix is no known format.
    """
    if path.suffix not in PLOTS:
        msg = f"{path}: name a file that ends in {', '.join(PLOTS)}"
        raise typer.BadParameter(msg)
    if not path.absolute().parent.is_dir():
        msg = f"{path}: its folder does not exist"
        raise typer.BadParameter(msg)
    try:
        import_module("matplotlib")
    except ImportError:
        msg = "a plot needs matplotlib: pip install 'perdure[plot]'"
        raise typer.BadParameter(msg) from None


def plot(readings: Sequence[Reading], path: Path) -> None:
    """Plot the run: the work done above, the resources used below, over one time axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    panels: list[tuple[tuple[str, ...], str]] = [
        (("published", "completed"), "messages"),
        (("waiting", "dead_letters"), "messages"),
    ]
    panels += [((name,), label) for name, label in SHOWN.items() if name not in {"waiting", "dead_letters"}]
    figure = Figure(figsize=(9, 2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(panels), 1, sharex=True)
    hours = [reading.at_s / 3600 for reading in readings]
    for axis, (names, label) in zip(axes, panels, strict=True):
        for name in names:
            axis.plot(hours, [getattr(reading, name) for reading in readings], label=name.replace("_", " "))
        axis.set_ylabel(label)
        axis.set_ylim(0, max(axis.get_ylim()[1] * 1.1, 1.0))
        axis.legend(loc="lower right")
    axes[-1].set_xlabel("hours")
    figure.savefig(path)
