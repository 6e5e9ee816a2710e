"""`NamedRows`: a table whose rows have names of any length. A name stands beside its figures where all fit, else above them, whole.

What the rows say is in `status_screen`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Named", "NamedRows", "middle_cut"]

LONGEST = 10_000
"""Columns of no terminal."""


class Named(NamedTuple):
    """One row."""

    name: Text
    figures: Sequence[Text | str]
    rest: Text | None = None
    """What comes behind the figures, or below them."""


class NamedRows:
    """Rows below headings, as wide as the terminal at most.

    Args:
        heading: above the names.
        headings: above the figures.
        rows: of as many figures each.
        rest: above what comes behind them; empty: nothing does.
    """

    def __init__(self, heading: str, headings: Sequence[str], rows: Sequence[Named], rest: str = "") -> None:
        self._heading = heading
        self._headings = headings
        self._rows = rows
        self._rest = rest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Return a table, or where that is too wide, lines."""
        table = self._table(with_names=True)
        if Measurement.get(console, options.update(max_width=LONGEST), table).maximum <= options.max_width:
            yield table
        else:
            yield from self._lines(console, options)

    def _table(self, *, with_names: bool) -> Table:
        table = Table(box=None, pad_edge=False)
        if with_names:
            table.add_column(self._heading, no_wrap=True)
        for heading in self._headings:
            table.add_column(heading, justify="right", no_wrap=True)
        if with_names and self._rest:
            table.add_column(self._rest, no_wrap=True)
        for row in self._rows:
            table.add_row(*([row.name] if with_names else []), *row.figures, *([row.rest] if with_names and row.rest else []))
        return table

    def _lines(self, console: Console, options: ConsoleOptions) -> Iterator[Text | Segment]:
        figures = self._table(with_names=False)
        above, *below = console.render_lines(figures, options, pad=False)
        yield Text(self._heading, style="bold")
        yield from (*above, Segment.line())
        for row, line in zip(self._rows, below, strict=True):
            yield middle_cut(row.name, options.max_width)
            yield from (*line, Segment.line())
            if row.rest:
                yield row.rest


def middle_cut(text: Text, columns: int) -> Text:
    """Return a text of at most so many columns: of a longer one its beginning and its end, which tell more than the middle."""
    if text.cell_len <= columns:
        return text
    plain = text.plain
    ahead = max(1, (columns - 1) // 2)
    return Text(f"{plain[:ahead]}…{plain[len(plain) - max(1, columns - 1 - ahead) :]}", style=text.style)
