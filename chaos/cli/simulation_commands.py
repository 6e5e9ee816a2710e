"""`perdure chaos simulate`, `mutants` and `recovery`: nights, planted bugs and successors on the command line.

What they do is in the modules they call; the other commands are in `commands` and `fault_commands`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from perdure.chaos.mutation.bugs import BUGS
from perdure.chaos.mutation.mutants import run_mutants
from perdure.chaos.simulation.campaign import Tally, run_campaign
from perdure.chaos.simulation.plan import Plan, draw
from perdure.chaos.simulation.shrink import failure_of, shrink
from perdure.chaos.threads.recovery_times import measure_recovery
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal

__all__ = ["add_to"]

console = Terminal()


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file to another's."""
    for command in (simulate, mutants, recovery):
        app.command()(command)


def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many nights.")] = 1000,
    first: Annotated[int, typer.Option(help="The first night's seed.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Only this night; tells its story.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Only the night of this plan, a JSON file.")] = None,
    processes: Annotated[int, typer.Option(min=0, help="How many at once; 0: as many as there are processors.")] = 0,
    runs: Annotated[int, typer.Option(min=1, help="At most so many runs to shorten the story of a failure.")] = 300,
    keep: Annotated[Path | None, typer.Option(help="Write the shortest plan that fails here, as JSON.")] = None,
) -> None:
    """Run nights of random work and random trouble in a simulated world; exit status 1 if one breaks a promise."""
    one = Plan.from_json(json.loads(plan.read_bytes())) if plan is not None else draw(seed) if seed is not None else None
    failing = one if one is not None else _many_nights(range(first, first + seeds), processes or None)
    if failing is None:
        return
    before = failure_of(failing)
    if before is None:
        if one is None:
            console.print(Text("it does not fail again: is something in it random?", "red"))
            raise typer.Exit(1)
        console.print("every promise was kept; what happened:", *map(str, failing.steps), sep="\n  ")
        return
    console.print(f"{before.error}; looking for a shorter story, in at most {runs} runs")
    failure = shrink(failing, runs) or before
    console.print("the shortest story that fails:", *failure.story, sep="\n  ")
    if keep is not None:
        keep.write_bytes(failure.plan.encode())
    raise typer.Exit(1)


def _many_nights(seeds: range, processes: int | None) -> Plan | None:
    """Run them and show what they came to, also when interrupted; returns the plan of one that failed."""
    began_s = time.monotonic()
    tally = Tally()
    with shown_progress(
        console, "simulated nights", len(seeds), so_far=lambda: _show_nights(tally, time.monotonic() - began_s)
    ) as step:
        run_campaign(seeds, processes=processes, told=lambda _: step(tally.scenarios), total=tally)
    _show_nights(tally, time.monotonic() - began_s)
    return draw(min(tally.failed)[0]) if tally.failed else None


def _show_nights(tally: Tally, took_s: float) -> None:
    table = Table("nights", "a second", "turns", "turns a second", "simulated", "simulated seconds a second")
    table.add_row(
        f"{tally.scenarios:,}",
        f"{tally.scenarios / took_s:.1f}",
        f"{tally.turns:,}",
        f"{tally.turns / took_s:,.0f}",
        f"{tally.simulated_s / 3600:,.1f} h",
        f"{tally.simulated_s / took_s:,.0f}",
    )
    console.print(table)
    console.print("troubles: " + ", ".join(f"{name} {n:,}" for name, n in sorted(tally.faults.items())))
    for seed, error in tally.failed:
        console.print(f"seed {seed}: {error}")


def mutants(
    only: Annotated[str, typer.Option(help="Only those with this text in their name or place.")] = "",
) -> None:
    """Plant bugs in perdure, one at a time, and see which tool notices each; exit status 1 if one is not noticed."""
    bugs = [bug for bug in BUGS if only in bug.name or only in bug.place]
    table = Table("planted bug", "in", "tool", "noticed", "seconds")
    alive = 0
    with shown_progress(console, "planted bugs", len(bugs), so_far=lambda: console.print(table)) as step:
        for done, verdict in enumerate(run_mutants(bugs), 1):
            alive += not verdict.dead
            publisher_log = verdict.noticed or verdict.error or "[it lives]"
            table.add_row(verdict.bug.name, verdict.bug.place, verdict.bug.tool, publisher_log[:120], f"{verdict.took_s:.1f}")
            step(done)
    console.print(table)
    if alive:
        raise typer.Exit(1)


def recovery(
    backlogs: Annotated[list[int] | None, typer.Option("--backlog", min=0, help="Messages that wait; may be repeated.")] = None,
    kills: Annotated[int, typer.Option(min=1, help="Kills of each actor.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the order of the kills.")] = 0,
) -> None:
    """Kill each actor again and again beside a backlog, and tell how long its successor took to be at work."""
    table = Table("actor", "backlog", "kills", "median ms", "99 % ms")
    sizes = backlogs or [0, 1_000, 10_000, 100_000]
    with shown_progress(console, "backlogs", len(sizes), so_far=lambda: console.print(table)) as step:
        for done, backlog in enumerate(sizes, 1):
            for role, back in measure_recovery(backlog, kills, seed).items():
                table.add_row(role, f"{backlog:,}", f"{back.kills}", f"{back.median_s * 1e3:.2f}", f"{back.p99_s * 1e3:.2f}")
            step(done)
    console.print(table)
