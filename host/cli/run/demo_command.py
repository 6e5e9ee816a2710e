"""`perdure demo`: orders that are processed while actors and the process are killed, and a count that shows that none is missing.

Not here: what it does (`perdure.demo`).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.run.run_command import BadTarget
from perdure.cli.terminal import Terminal
from perdure.demo.runner import SHIPPED, demo

__all__ = ["run_demo"]

console = Terminal()


def run_demo(
    orders: Annotated[
        str,
        typer.Argument(metavar="ORDERS", help="A JSON Lines file, or - for standard input.", show_default="orders made for it"),
    ] = str(SHIPPED),
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep all files in this empty folder instead of a temporary one.")
    ] = None,
    kills: Annotated[int, typer.Option(min=0, max=1000, help="How many actors to kill half-way.")] = 10,
) -> None:
    """Process orders, kill actors and the process half-way, and show that no order was lost or handled twice."""
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadTarget(f"{folder} exists and is not an empty folder; name another one")
    work = Path(tempfile.mkdtemp(prefix="perdure-demo-")) if folder is None else folder
    work.mkdir(parents=True, exist_ok=True)
    try:
        source = Path(orders)
        if orders == "-":
            source = work / "orders.jsonl"
            with source.open("wb") as spool:
                shutil.copyfileobj(sys.stdin.buffer, spool)
        elif not source.is_file():
            raise BadTarget(f"{orders} is not a file; name a JSON Lines file, or - for standard input")
        origin = "standard input" if orders == "-" else source.name
        console.say_line(f"orders from {origin}, all files in {work}")
        good = demo(console, source, work, kills)
    finally:
        if folder is None:
            shutil.rmtree(work, ignore_errors=True)
    if folder is None:
        console.print("The temporary folder was removed; use --folder FOLDER to keep the files.")
    raise typer.Exit(0 if good else 1)
