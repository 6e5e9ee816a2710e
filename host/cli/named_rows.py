"""`NamedRows`: a table whose rows have names of any length. Where it is too wide for the terminal, each figure has its heading.

What is in the rows is up to each command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["NOTHING", "Named", "NamedRows", "middle_cut"]

LONGEST = 10_000
"""More columns than any terminal has."""
NOTHING = "-"
"""A figure that is not there: a table has it, a line leaves it out."""
BESIDE_PART = 3
"""Names of at most this part of the line stand beside their figures, longer ones above."""


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
        rows: each with as many figures as there are headings.
        rest: above what follows the figures.
        texts: headings of columns that hold no numbers.
    """

    def __init__(
        self, heading: str, headings: Sequence[str], rows: Sequence[Named], rest: str = "", *, texts: Collection[str] = ()
    ) -> None:
        self._texts = texts
        self._heading = heading
        self._headings = headings
        self._rows = rows
        self._rest = rest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Return a table, or where that is too wide, lines."""
        table = self._table()
        if Measurement.get(console, options.update(max_width=LONGEST), table).maximum <= options.max_width:
            yield table
        else:
            yield from self._lines(options)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column(self._heading, no_wrap=True)
        for heading in self._headings:
            table.add_column(heading, justify="left" if heading in self._texts else "right", no_wrap=True)
        if any(row.rest for row in self._rows):
            table.add_column(self._rest, no_wrap=True)
        for row in self._rows:
            table.add_row(row.name, *row.figures, *([row.rest] if row.rest else []))
        return table

    def _lines(self, options: ConsoleOptions) -> Iterator[Text]:
        """Yield each row as its name and the figures that are not nothing, each behind its heading, with no pair broken."""
        yield Text(self._heading, style="bold")
        columns = options.max_width
        longest = max((row.name.cell_len for row in self._rows), default=0)
        indent = longest + 2 if longest <= columns // BESIDE_PART else 2
        for row in self._rows:
            line = middle_cut(row.name, columns)
            if indent > longest:
                line.pad_right(indent - line.cell_len)
            else:
                yield line
                line = Text(" " * indent)
            pairs = [
                Text.assemble((heading, "dim"), " ", value)
                for heading, value in zip(self._headings, row.figures, strict=True)
                if str(value) != NOTHING
            ]
            for pair in [*pairs, *([row.rest] if row.rest else [])]:
                if line.cell_len > indent and line.cell_len + pair.cell_len > columns:
                    line.rstrip()
                    yield line
                    line = Text(" " * indent)
                line += pair + "  "
            line.rstrip()
            yield line


def middle_cut(text: Text, columns: int) -> Text:
    """Return a text of at most so many columns: a longer one loses its middle, as its beginning and end matter more."""
    if text.cell_len <= columns:
        return text
    plain = text.plain
    ahead = max(1, (columns - 1) // 2)
    return Text(f"{plain[:ahead]}…{plain[len(plain) - max(1, columns - 1 - ahead) :]}", style=text.style)
