"""`perdure chaos ...`: the tools of this room on the command line. What they do is in the modules they call."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from perdure.chaos.cli import fault_commands
from perdure.chaos.cli import simulation_commands as night_commands
from perdure.chaos.disk.crash_states import CrashCheck, Lost, appends
from perdure.chaos.soak import view as soak_view
from perdure.chaos.soak.soak import Soak
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line

__all__ = ["app", "soak"]

app = typer.Typer(no_args_is_help=True, help="Break it on purpose.")
console = Terminal()
fault_commands.add_to(app)
night_commands.add_to(app)
ENOUGH = 10
"""With so many readings, the part that is judged has as many as a trend needs."""
TOO_SHORT = Text("the counts add up; too few readings to tell whether anything grows", "yellow")


@app.command()
def crash_states(
    seeds: Annotated[int, typer.Option(min=1, help="How often, each with other samples.")] = 3,
) -> None:
    """Open the store on every disk state that a power cut could leave; exit status 1 if a promise is broken."""
    table = Table("workload", "stops", "states", "recoveries", "states a second")
    workloads = {
        "one by one": appends(10),
        "in groups": appends(8, each=3, size=1500),
        "with snapshots": appends(12, each=2, size=900, snapshot_every=3),
    }
    done = 0
    with shown_progress(console, "workloads", total=len(workloads) * seeds, so_far=lambda: console.print(table)) as step:
        for name, workload in workloads.items():
            check = CrashCheck(nested=0.05)
            began_s = time.monotonic()
            for seed in range(seeds):
                check.seed = seed
                try:
                    check.run(workload)
                except Lost as error:
                    console.print(one_line(f"{name}, seed {seed}: {error}", "red"), soft_wrap=True)
                    raise typer.Exit(1) from error
                done += 1
                step(done)
            rate = check.states / (time.monotonic() - began_s)
            table.add_row(name, f"{check.stops:,}", f"{check.states:,}", f"{check.recoveries:,}", f"{rate:,.0f}")
    console.print(table)


@app.command(hidden=True)
def soak(
    hours: Annotated[float, typer.Option(min=0.0, help="How long.")] = 24.0,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two readings.")] = 300.0,
    folder: Annotated[Path | None, typer.Option(help="A new folder; temporary unless given.")] = None,
    table: Annotated[Path | None, typer.Option(help="Write the readings here, as CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the run here: .png, .svg or .pdf. Needs matplotlib.")] = None,
    history: Annotated[Literal["drop", "keep", "archive"], typer.Option(help="As Options.history.")] = "drop",
    kills: Annotated[float, typer.Option(min=0.001, help="Actors killed a second.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the kills and of what fails.")] = 0,
) -> None:
    """Work for hours with failing handlers, kills, snapshots and retention; exit status 1 if anything does not add up or grows."""
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise typer.BadParameter(f"{folder} is there and not an empty folder; name another one")
    if plot is not None:
        soak_view.check_plot(plot)
    work = folder or Path(tempfile.mkdtemp(prefix="perdure-soak-"))
    view = soak_view.SoakView(console, hours * 3600)
    run = Soak(
        work / "data", hours * 3600, interval, seed, history=history, kills_per_s=kills, table=table, tell=view.tell, tick=view.tick
    )
    try:
        with view:
            wrong = run.run()
    finally:
        if folder is None:
            shutil.rmtree(work, ignore_errors=True)
    if run.readings:
        console.print(soak_view.summary(run))
        if plot is not None:
            soak_view.plot(run.readings, plot)
    for line in wrong:
        console.print(one_line(line, "red"), soft_wrap=True)
    if not wrong:
        console.print(Text("the counts add up, and nothing grew", "green") if len(run.readings) > ENOUGH else TOO_SHORT)
    if run.interrupted:
        console.print("interrupted: judged by what was there until then")
        raise typer.Exit(130)
    raise typer.Exit(1 if wrong else 0)
