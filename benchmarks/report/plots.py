"""Three plots for the docs: perdure beside its peers, what growth costs, where the microseconds go. Needs matplotlib."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from benchmarks.effort import EFFORTS
from benchmarks.loads import budget
from benchmarks.loads.backlogs import growth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.figure import Figure, Report

__all__ = ["draw"]

OURS, THEIRS, INK, GRID = "#1f6f6b", "#b8b2a7", "#2b2b2b", "#e4e0d8"
STAGE_COLOURS = {"publish": "#1f6f6b", "deliver": "#d08c3f", "handle": "#8a5a83", "complete": "#5b7db1"}
LENGTHS = EFFORTS["full"].logs


def draw(reports: Mapping[str, Report], folder: Path) -> None:
    """Draw the plots for which there are reports."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.rcParams.update(
        {
            "svg.hashsalt": "perdure",  # equal figures give an equal file
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    for name, report in reports.items():
        plot = PLOTS.get(name)
        if plot is not None:
            drawn = plot(pyplot, report)
            drawn.savefig(folder / f"{name}.svg", bbox_inches="tight", facecolor="white", metadata={"Date": None, "Creator": None})
            pyplot.close(drawn)


def _found(figures: Sequence[Figure | None]) -> list[Figure]:
    return [figure for figure in figures if figure is not None]


def peers(pyplot: Any, report: Report) -> Any:
    """Draw a bar for each queue, with the spread of the rounds."""
    figures = sorted(_found([report.find(f.measure.name) for f in report.figures]), key=lambda f: f.median)
    drawn, axes = pyplot.subplots(figsize=(7, 0.36 * len(figures) + 0.8))
    names = [f.measure.name for f in figures]
    low = [f.median - min(f.values) for f in figures]
    high = [max(f.values) - f.median for f in figures]
    colours = [OURS if name.startswith("perdure") else THEIRS for name in names]
    medians = [f.median for f in figures]
    axes.barh(names, medians, color=colours, height=0.66, xerr=(low, high), error_kw={"ecolor": INK, "lw": 0.8})
    for i, figure in enumerate(figures):
        axes.text(max(figure.values) * 1.12, i, f"{figure.median:,.0f}", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(right=max(max(f.values) for f in figures) * 4)
    axes.set_xlabel("messages a second, whole trip (log scale)")
    axes.tick_params(axis="y", length=0)
    return drawn


def growing(pyplot: Any, report: Report) -> Any:
    """Draw throughput over the backlog, and the time to open over backlog and log."""
    drawn, (left, right) = pyplot.subplots(1, 2, figsize=(7.6, 2.8))
    backlogs = EFFORTS["ordinary"].backlogs
    beside = [(n, figure) for n in backlogs if (figure := report.find(growth.trip_beside(n)))]
    _curve(left, [(n, f.values) for n, f in beside], OURS, "whole trip")
    left.set(xscale="log", xlabel="messages waiting", ylabel="messages a second")
    left.set_ylim(bottom=0)
    opened = [(n, figure) for n in backlogs if (figure := report.find(growth.opening(n)))]
    replayed = [(n, figure) for n in LENGTHS if (figure := report.find(growth.replaying(n)))]
    _curve(right, [(n, [n / rate for rate in f.values]) for n, f in opened], OURS, "open, messages waiting (snapshot)")
    _curve(right, [(n, [n / rate for rate in f.values]) for n, f in replayed], "#d08c3f", "replay, events (no snapshot)")
    right.set(xscale="log", yscale="log", xlabel="messages, or events", ylabel="seconds")
    right.legend(frameon=False, fontsize=7.5)
    for axes in (left, right):
        axes.grid(color=GRID, lw=0.6)
        axes.set_axisbelow(True)
    drawn.tight_layout()
    return drawn


def _curve(axes: Any, points: Sequence[tuple[int, Sequence[float]]], colour: str, label: str) -> None:
    sizes = [n for n, _ in points]
    axes.fill_between(sizes, [min(v) for _, v in points], [max(v) for _, v in points], color=colour, alpha=0.2, lw=0)
    axes.plot(sizes, [sorted(v)[len(v) // 2] for _, v in points], color=colour, marker="o", ms=3, lw=1.4, label=label)


def microseconds(pyplot: Any, report: Report) -> Any:
    """Draw a bar for each stage of a message's life, in order."""
    figures = _found([report.find(name) for name in budget.STAGES])[::-1]
    drawn, axes = pyplot.subplots(figsize=(7, 0.27 * len(figures) + 0.8))
    colours = [STAGE_COLOURS[f.measure.name.partition(":")[0]] for f in figures]
    axes.barh([f.measure.name for f in figures], [f.median for f in figures], color=colours, height=0.7)
    for i, figure in enumerate(figures):
        axes.text(figure.median, i, f"  {figure.median:.2f}", va="center", fontsize=8)
    axes.set_xlabel("microseconds a message, in batches of 500")
    axes.tick_params(axis="y", length=0)
    return drawn


PLOTS = {"peers": peers, "growth": growing, "budget": microseconds}
