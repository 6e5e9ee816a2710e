"""`perdure chaos simulate`, `mutants` and `recovery`: scenarios, planted bugs and recovery times on the command line.

The work is in the modules that they call; the other commands are in `commands` and `fault_commands`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from perdure.chaos.mutation.bugs import BUGS
from perdure.chaos.mutation.mutants import run_mutants
from perdure.chaos.scenarios.campaign import Tally, run_campaign
from perdure.chaos.scenarios.plan import Plan, draw
from perdure.chaos.scenarios.shrink import failure_of, shrink
from perdure.chaos.threads.recovery_times import measure_recovery
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal

__all__ = ["add_to"]

console = Terminal()


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module to an app."""
    for command in (simulate, mutants, recovery):
        app.command()(command)


def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many scenarios.")] = 1000,
    first: Annotated[int, typer.Option(help="The seed of the first scenario.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Only the scenario of this seed, with its steps.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Only the scenario of this plan, a JSON file.")] = None,
    processes: Annotated[int, typer.Option(min=0, help="How many run at once; 0: one for each processor.")] = 0,
    runs: Annotated[int, typer.Option(min=1, help="At most so many runs to shorten a failing plan.")] = 300,
    keep: Annotated[Path | None, typer.Option(help="Write the shortest failing plan here, as JSON.")] = None,
) -> None:
    """Simulate scenarios of random work and random faults; exit status 1 if one breaks the contract."""
    one = Plan.from_json(json.loads(plan.read_bytes())) if plan is not None else draw(seed) if seed is not None else None
    failing = one if one is not None else _run_seeds(range(first, first + seeds), processes or None)
    if failing is None:
        return
    before = failure_of(failing)
    if before is None:
        if one is None:
            console.print(Text("the scenario does not fail again: something in it does not come from its seed", "red"))
            raise typer.Exit(1)
        console.print("the contract held; the steps:", *map(str, failing.steps), sep="\n  ")
        return
    console.print(f"{before.error}; shortening the plan in at most {runs} runs")
    failure = shrink(failing, runs) or before
    console.print("the shortest failing plan found:", *failure.trace, sep="\n  ")
    if keep is not None:
        keep.write_bytes(failure.plan.encode())
    raise typer.Exit(1)


def _run_seeds(seeds: range, processes: int | None) -> Plan | None:
    """Run many scenarios and print the totals, also when interrupted. Return the plan of one that failed."""
    began_s = time.monotonic()
    tally = Tally()
    with shown_progress(
        console,
        "simulated scenarios",
        len(seeds),
        so_far=lambda: _print_tally(tally, time.monotonic() - began_s),
        is_result=True,
    ) as step:
        run_campaign(seeds, processes=processes, on_progress=lambda _: step(tally.scenarios), total=tally)
    _print_tally(tally, time.monotonic() - began_s)
    return draw(min(tally.failed)[0]) if tally.failed else None


def _print_tally(tally: Tally, took_s: float) -> None:
    table = Table("scenarios", "a second", "turns", "turns a second", "simulated", "simulated seconds a second")
    table.add_row(
        f"{tally.scenarios:,}",
        f"{tally.scenarios / took_s:.1f}",
        f"{tally.turns:,}",
        f"{tally.turns / took_s:,.0f}",
        f"{tally.simulated_s / 3600:,.1f} h",
        f"{tally.simulated_s / took_s:,.0f}",
    )
    console.print(table)
    console.print("faults: " + ", ".join(f"{name} {n:,}" for name, n in sorted(tally.faults.items())))
    for seed, error in tally.failed:
        console.print(f"seed {seed}: {error}")


def mutants(
    only: Annotated[str, typer.Option(help="Only bugs with this text in their name or place.")] = "",
) -> None:
    """Plant bugs in perdure, one at a time, and check that a tool notices each; exit status 1 if one is not noticed."""
    bugs = [bug for bug in BUGS if bug.can_be_judged and (only in bug.name or only in bug.place)]
    table = Table("planted bug", "in", "tool", "noticed", "seconds")
    unnoticed = 0
    with shown_progress(console, "planted bugs", len(bugs), so_far=lambda: console.print(table), is_result=True) as step:
        for done, verdict in enumerate(run_mutants(bugs), 1):
            unnoticed += not verdict.dead
            outcome = verdict.noticed or verdict.error or "not noticed"
            table.add_row(verdict.bug.name, verdict.bug.place, verdict.bug.tool, outcome[:120], f"{verdict.took_s:.1f}")
            step(done)
    console.print(table)
    if unnoticed:
        raise typer.Exit(1)


def recovery(
    backlogs: Annotated[list[int] | None, typer.Option("--backlog", min=0, help="Waiting messages; may be repeated.")] = None,
    kills: Annotated[int, typer.Option(min=1, help="Kills of each actor.")] = 20,
    seed: Annotated[int, typer.Option(help="The seed of the order of the kills.")] = 0,
) -> None:
    """Kill each actor again and again beside a backlog, and print how long its successor took to be ready."""
    table = Table("actor", "backlog", "kills", "median ms", "99 % ms")
    sizes = backlogs or [0, 1_000, 10_000, 100_000]
    with shown_progress(console, "backlogs", len(sizes), so_far=lambda: console.print(table), is_result=True) as step:
        for done, backlog in enumerate(sizes, 1):
            for role, back in measure_recovery(backlog, kills, seed).items():
                table.add_row(role, f"{backlog:,}", f"{back.kills}", f"{back.median_s * 1e3:.2f}", f"{back.p99_s * 1e3:.2f}")
            step(done)
    console.print(table)
