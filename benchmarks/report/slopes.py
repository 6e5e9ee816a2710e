"""The table of the group `cliffs`: the cost of a command beside ever more live messages, and whether it is a cliff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.loads.backlogs.cliffs import COMMANDS, SIZES, beside
from benchmarks.report.tables import number

if TYPE_CHECKING:
    from benchmarks.figure import Figure, Report

__all__ = ["CLIFF", "slope", "slope_rows"]

CLIFF = 1.5
"""A cost that grows by more than this factor beside a hundred times as many live messages is shown as a cliff."""


def slope(figures: list[Figure]) -> float | None:
    """Return how many times as much the last costs as the first; None if a value is missing."""
    if not figures[0].values or not figures[-1].values:
        return None
    return max(figures[0].values) / max(figures[-1].values)


def slope_rows(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows: microseconds of processor time each beside each number of live messages, and the slope.

    The best round counts: it has the least disturbance.
    """
    headings = ("us each", *(f"beside {n:,}" for n in SIZES), f"{SIZES[-1]:,} to {SIZES[0]:,}", "")
    by_name = {figure.measure.name: figure for figure in report.figures}
    rows: list[tuple[str, ...]] = []
    for command in COMMANDS:
        figures = [by_name[name] for n in SIZES if (name := beside(command, n)) in by_name]
        if len(figures) < len(SIZES):
            continue
        grows = slope(figures)
        costs = [number(1e6 / max(figure.values)) if figure.values else f"missing: {figure.missing}" for figure in figures]
        flag = "**cliff**" if grows is not None and grows > CLIFF else ""
        rows.append((command, *costs, "" if grows is None else number(grows), flag))
    return headings, rows
