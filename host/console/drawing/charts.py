"""Line and area charts over time, and sparklines, as SVG that scales with its box. Each carries a sentence for screen readers.

Pure: numbers in, markup out.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

import attrs
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Series", "chart", "sparkline"]

WIDTH, HEIGHT = 600, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 6, 8, 20
POINTS_MAX = 300
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000


@attrs.frozen
class Series:
    """One line: its name, its class in the style sheet, and its values (None: unknown)."""

    name: str
    css: str
    values: Sequence[float | None]
    is_area: bool = False


def chart(title: str, times_us: Sequence[int], series: Sequence[Series], *, unit: str = "", mark_us: int | None = None) -> Markup:
    """Return a chart of some series over the same times, oldest first.

    Args:
        title: what is shown, for screen readers.
        times_us: of the values, in microseconds since the epoch.
        series: the lines.
        unit: behind the numbers of the axis.
        mark_us: a moment to mark, such as the one that the page shows.
    """
    known = [value for one in series for value in one.values if value is not None]
    if len(times_us) <= 1 or not known:  # a line takes two points
        return Markup('<p class="none">nothing yet</p>')
    top, step = _scale(max(known))
    begin, end = times_us[0], times_us[-1]

    def x(at_us: float) -> float:
        return LEFT + (at_us - begin) / max(1, end - begin) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_summary(title, series, unit))}">']
    for i in range(round(top / step) + 1):
        value = i * step
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 6}" y="{y(value) + 3.5:.1f}" text-anchor="end">{short(value)}{unit}</text>')
    for at_us, label, anchor in _ticks(begin, end):
        parts.append(f'<text class="axis" x="{x(at_us):.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{label}</text>')
    for one in series:
        for run in _runs(times_us, one.values):
            line = " ".join(f"{x(at_us):.1f},{y(value):.1f}" for at_us, value in run)
            if one.is_area:
                base = f"{x(run[0][0]):.1f},{y(0):.1f} {line} {x(run[-1][0]):.1f},{y(0):.1f}"
                parts.append(f'<polygon class="area {one.css}" points="{base}"/>')
            parts.append(f'<polyline class="line {one.css}" points="{line}"/>')
    if mark_us is not None and begin <= mark_us <= end:
        parts.append(f'<line class="mark" x1="{x(mark_us):.1f}" x2="{x(mark_us):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - texts are escaped above


def sparkline(values: Sequence[float], title: str) -> Markup:
    """Return a small line without axes."""
    if len(values) <= 1:
        return Markup('<span class="quiet">&ndash;</span>')  # not known yet: a flat line would show that nothing moves
    if not any(values):
        return Markup(
            '<svg class="spark" viewBox="0 0 80 18" aria-hidden="true"><line class="line" x1="1" x2="79" y1="16" y2="16"/></svg>'
        )
    top = max(values)
    points = " ".join(f"{1 + i / (len(values) - 1) * 78:.1f},{16 - value / top * 14:.1f}" for i, value in enumerate(values))
    label = escape(f"{title}: now {values[-1]:,.1f}, at most {top:,.1f}")
    return Markup(  # noqa: S704 - the label is escaped
        f'<svg class="spark" viewBox="0 0 80 18" role="img" aria-label="{label}"><polyline class="line" points="{points}"/></svg>'
    )


def short(value: float) -> str:
    """Return a number in a few characters: 1,200 as 1.2k."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def _scale(most: float) -> tuple[float, float]:
    """Return the top of an axis, and the step of its lines: a round number, three or four times."""
    if most <= 0:
        return 1.0, 0.5
    size = 10 ** math.floor(math.log10(most / 3))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size * 4 >= most)
    return step * math.ceil(most / step - 1e-9), step


def _ticks(begin: int, end: int) -> list[tuple[int, str, str]]:
    span = end - begin
    style = "%H:%M:%S" if span < 15 * MINUTE_US else "%H:%M" if span < 2 * DAY_US else "%b %d"
    anchors = ("start", "middle", "middle", "middle", "end")
    return [
        (at := begin + span * i // 4, dt.datetime.fromtimestamp(at / 1e6, dt.UTC).strftime(style), anchor)
        for i, anchor in enumerate(anchors)
    ]


def _runs(times_us: Sequence[int], values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return stretches of known values, with few points: of many, the largest of each part."""
    step = max(1, math.ceil(len(values) / POINTS_MAX))
    runs: list[list[tuple[int, float]]] = [[]]
    for first in range(0, len(values), step):
        part = [(times_us[i], values[i]) for i in range(first, min(first + step, len(values)))]
        known = [(at, value) for at, value in part if value is not None]
        if known:
            runs[-1].append(max(known, key=lambda pair: pair[1]))
        elif runs[-1]:
            runs.append([])
    return [run if len(run) > 1 else [*run, *run] for run in runs if run]


def _summary(title: str, series: Sequence[Series], unit: str) -> str:
    parts = []
    for one in series:
        known = [value for value in one.values if value is not None]
        if known:
            parts.append(f"{one.name} last {short(known[-1])}{unit}, at most {short(max(known))}{unit}")
    return f"{title}: {'; '.join(parts)}"
