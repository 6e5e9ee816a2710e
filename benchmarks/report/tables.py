"""Figures as tables, for a terminal and as Markdown for the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figure import Figure, Report
    from benchmarks.report.targets import Verdict

__all__ = ["figure_rows", "markdown", "number", "rich_table", "target_rows"]

FIGURE_HEADINGS = ("load", "median", "low to high", "unit", "ratio", "low to high", "set against")
TARGET_HEADINGS = ("target", "required", "measured", "low to high", "met")


def number(value: float) -> str:
    """Return a number with three significant digits."""
    if not value:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def _spread(values: Sequence[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}"


def _row(figure: Figure) -> tuple[str, ...]:
    name = figure.measure.name
    if not figure.values:
        return (name, "missing", figure.missing, "", "", "", "")
    low_high = _spread(figure.ratios) if figure.ratios else ""
    ratio = number(figure.ratio) if figure.ratio is not None else ""
    return (name, number(figure.median), _spread(figure.values), figure.measure.unit, ratio, low_high, figure.measure.floor)


def figure_rows(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows of a group's table, floors first, with a column of notes if there are any."""
    figures = [*report.floors, *report.figures]
    notes = [_note(figure) for figure in figures]
    if not any(notes):
        return FIGURE_HEADINGS, [_row(figure) for figure in figures]
    return (*FIGURE_HEADINGS, "how"), [(*_row(figure), note) for figure, note in zip(figures, notes, strict=True)]


def _note(figure: Figure) -> str:
    """Return a figure's note, and the error of a round that failed if others did not."""
    failed = f"not in each round: {figure.missing}" if figure.missing and figure.values else ""
    return "; ".join(part for part in (figure.note, failed) if part)


def target_rows(verdicts: Sequence[Verdict]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows of the table of targets."""
    rows: list[tuple[str, ...]] = []
    for verdict in verdicts:
        required = f"{'≥' if verdict.at_least else '≤'} {verdict.required:g}{verdict.unit}"
        if verdict.values:
            measured = f"{number(verdict.median)}{verdict.unit}"
            rows.append((verdict.text, required, measured, _spread(verdict.values), verdict.word))
        else:
            rows.append((verdict.text, required, "not measured", "", "-"))
    return TARGET_HEADINGS, rows


def rich_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for a terminal."""
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if heading in ("load", "target", "unit", "set against", "how") else "right")
        table.columns[i].overflow = "fold"
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    return table


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
