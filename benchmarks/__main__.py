"""Measure groups of loads; print their tables and the targets; write JSON, plots and the tables of the docs on request."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.effort import EFFORTS
from benchmarks.groups import GROUPS
from benchmarks.report import document, results
from benchmarks.report.slopes import slope_rows
from benchmarks.report.tables import figure_rows, rich_table, target_rows
from benchmarks.report.targets import judge
from benchmarks.rounds import measure

WIDTH = 160


def main() -> None:
    """Run the command. Exit status 0 means that the loads were measured, not that they were fast."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("group", nargs="*", help=f"groups to run; all unless given: {', '.join(GROUPS)}")
    parser.add_argument(
        "--folder", type=Path, default=Path.cwd(), help="a folder on the disk to measure; the current folder unless given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the value of every round to this file")
    parser.add_argument("--docs", action="store_true", help="keep the results in docs/, draw its plots and fill in its tables")
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", dest="effort", action="store_const", const="quick", help="one short round, to see that it works")
    effort.add_argument("--full", dest="effort", action="store_const", const="full", help="more rounds, and logs of 10 M events")
    arguments = parser.parse_args()
    unknown = set(arguments.group) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are: {', '.join(GROUPS)}")
    console = Console(width=WIDTH)
    effort_name = arguments.effort or "ordinary"
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    reports = {}
    with Progress(*columns, console=console) as progress:
        for group in arguments.group or GROUPS:
            report = reports[group] = measure(group, effort_name, EFFORTS[effort_name], arguments.folder, progress)
            title = f"{group}: median of {report.rounds} rounds, {report.effort}; {report.on}"
            rows = slope_rows if group == "cliffs" else figure_rows
            progress.console.print(rich_table(title, *rows(report)))
    verdicts = [verdict for verdict in judge(reports) if verdict.group in reports]
    if verdicts:
        console.print(rich_table("targets of the groups in this run", *target_rows(verdicts)))
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(reports)) + b"\n")
    if arguments.docs:
        results.keep(reports)
        document.fill(results.load())


if __name__ == "__main__":
    main()
