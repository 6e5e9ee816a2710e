"""Fill in the tables of docs/PERFORMANCE.md between markers, from the kept results: `python -m benchmarks.report.document`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.report import plots, results
from benchmarks.report.slopes import slope_rows
from benchmarks.report.tables import figure_rows, markdown, target_rows
from benchmarks.report.targets import judge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figure import Report

__all__ = ["between_markers", "fill"]

PAGE = results.FOLDER.parent / "PERFORMANCE.md"


def between_markers(text: str, blocks: Mapping[str, str]) -> str:
    """Return the text with each block between `<!-- figures: NAME -->` and `<!-- end -->`; parts without a block stay."""

    def replace(found: re.Match[str]) -> str:
        block = blocks.get(found["name"])
        return found[0] if block is None else f"<!-- figures: {found['name']} -->\n\n{block}\n\n<!-- end -->"

    return re.sub(r"<!-- figures: (?P<name>\w+) -->.*?<!-- end -->", replace, text, flags=re.DOTALL)


def fill(reports: Mapping[str, Report], page: Path = PAGE) -> None:
    """Update the page's tables and plots."""
    blocks = {"targets": markdown(*target_rows(judge(reports)))}
    for group, report in reports.items():
        made_by = f"`python -m benchmarks {group}`: {report.rounds} rounds; {report.on}."
        blocks[group] = f"{made_by}\n\n{markdown(*(slope_rows if group == 'cliffs' else figure_rows)(report))}"
    page.write_text(between_markers(page.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    plots.draw(reports, results.FOLDER)


if __name__ == "__main__":
    fill(results.load())
