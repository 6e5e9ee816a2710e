"""`perdure chaos ...` and `perdure soak`: the app, and the commands that fit no other module.

The work is in the modules that they call; the other commands are in `fault_commands` and `simulation_commands`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from perdure.chaos.cli import fault_commands, simulation_commands
from perdure.chaos.disk.crash_states import CrashCheck, appends
from perdure.chaos.disk.store_contract import Lost
from perdure.chaos.soak import view as soak_view
from perdure.chaos.soak.soak import Soak
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line

__all__ = ["app", "soak"]

app = typer.Typer(no_args_is_help=True, help="Test perdure with faults: simulation, kills, power cuts, damage, planted bugs.")
console = Terminal()
fault_commands.add_to(app)
simulation_commands.add_to(app)
READINGS_ENOUGH = 10
"""With so many readings the judged part has as many as a trend needs."""
TOO_SHORT = Text("the counts add up; too few readings to judge growth", "yellow")


@app.command()
def crash_states(
    seeds: Annotated[int, typer.Option(min=1, help="How many rounds, each with other samples.")] = 3,
) -> None:
    """Open the store on every disk state that a power cut could leave; exit status 1 if the contract is broken."""
    table = Table("workload", "stops", "states", "recoveries", "states a second")
    workloads = {
        "one by one": appends(10),
        "in groups": appends(8, each=3, size=1500),
        "with snapshots": appends(12, each=2, size=900, snapshot_every=3),
    }
    done = 0
    with shown_progress(
        console, "workloads", total=len(workloads) * seeds, so_far=lambda: console.print(table), is_result=True
    ) as step:
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
    hours: Annotated[float, typer.Option(min=0.0, help="Hours to run.")] = 24.0,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two readings.")] = 300.0,
    folder: Annotated[Path | None, typer.Option(help="A new folder; temporary unless given.")] = None,
    table: Annotated[Path | None, typer.Option(help="Write the readings to this CSV file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Plot the run to this .png, .svg or .pdf file. Needs matplotlib.")] = None,
    history: Annotated[Literal["drop", "keep", "archive"], typer.Option(help="As `Options.history`.")] = "drop",
    kills: Annotated[float, typer.Option(min=0.001, help="Actors killed a second.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The seed of the kills and of the failing work.")] = 0,
) -> None:
    """Work for hours with failures, kills, snapshots and retention; exit status 1 if counts do not add up or anything grows."""
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise typer.BadParameter(f"{folder} exists and is not an empty folder; name another one")
    if plot is not None:
        soak_view.check_plot(plot)
    work = folder or Path(tempfile.mkdtemp(prefix="perdure-soak-"))
    view = soak_view.SoakView(console, hours * 3600)
    run = Soak(
        work / "data",
        hours * 3600,
        interval,
        seed,
        history=history,
        kills_per_s=kills,
        table=table,
        on_reading=view.add,
        each_second=view.each_second,
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
        console.print(Text("the counts add up, and nothing grew", "green") if len(run.readings) > READINGS_ENOUGH else TOO_SHORT)
    if run.interrupted:
        console.print("interrupted: judged by the readings until then")
        raise typer.Exit(130)
    raise typer.Exit(1 if wrong else 0)
