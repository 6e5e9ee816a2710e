"""`perdure chaos kill-calls`, `kill-lines`, `fail-calls`, `power-cuts` and `damage`: faults of a store by itself.

The work is in the modules that they call; the other commands of this room are in `commands` and `simulation_commands`.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from perdure.chaos.disk.damage import DamageCheck, each_flip, make_whole
from perdure.chaos.disk.kernel_power_cuts import PowerCutSweep
from perdure.chaos.disk.mounts import LoopFolder, why_no_loop
from perdure.chaos.disk.store_contract import Lost
from perdure.chaos.processes.sweep import Sweep
from perdure.chaos.processes.syscalls import why_no_strace
from perdure.cli.progress import shown_progress
from perdure.cli.terminal import Terminal, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Step = Callable[[int, int], None]

__all__ = ["add_to"]

console = Terminal()

Within = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="A folder on the disk to test; temporary unless given.")
]
Frames = Annotated[int, typer.Option(min=6, help="Frames that the workload writes.")]
Most = Annotated[int, typer.Option(min=0, help="Visit at most so many points, evenly spread; 0: all.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module to an app."""
    for command in (kill_calls, kill_lines, fail_calls, power_cuts, damage):
        app.command()(command)


@contextlib.contextmanager
def _reported(what: str) -> Iterator[Step]:
    """Show progress and the outcome; a loss is exit status 1. The store's warnings are disabled: there would be thousands."""
    logging.getLogger("perdure.store").disabled = True
    began_s = time.monotonic()
    done = 0
    try:
        with shown_progress(console, what, is_result=True) as show:

            def step(at: int, of: int) -> None:
                nonlocal done
                done = at
                show(at, of or None)

            yield step
    except Lost as error:
        console.print(one_line(error, "red"), soft_wrap=True)
        raise typer.Exit(1) from error
    finally:
        logging.getLogger("perdure.store").disabled = False
    console.print(f"{what}: {done:,} in {time.monotonic() - began_s:,.1f} s, nothing acknowledged was lost")


def _needs(reason: str) -> None:
    if reason:
        console.print(one_line(f"not possible on this machine: {reason}", "red"), soft_wrap=True)
        raise typer.Exit(2)


@contextlib.contextmanager
def _settle_dead(within: Path | None, frames: int) -> Iterator[Sweep]:
    with tempfile.TemporaryDirectory(prefix="perdure-sweep-", dir=within) as folder:
        yield Sweep(Path(folder), frames=frames)


def kill_calls(within: Within = None, most: Most = 0, frames: Frames = 16) -> None:
    """Kill a process that works on a store before its N-th system call, for every N, and recover each time. Needs strace."""
    _needs(why_no_strace())
    with _settle_dead(within, frames) as sweep, _reported("kills at system calls") as step:
        sweep.kill_at_calls(most, step)


def kill_lines(
    within: Within = None,
    most: Most = 0,
    frames: Frames = 16,
    opcodes: Annotated[bool, typer.Option(help="At each bytecode instead of each line.")] = False,
) -> None:
    """Kill a process that works on a store at its N-th executed line of the store, for every N, and recover each time."""
    with _settle_dead(within, frames) as sweep, _reported("kills at bytecodes" if opcodes else "kills at lines") as step:
        sweep.kill_at_lines(most, step, opcodes=opcodes)


def fail_calls(
    within: Within = None,
    most: Most = 0,
    onward: Annotated[bool, typer.Option(help="Let all later calls of the same kind fail too.")] = False,
) -> None:
    """Let the N-th system call of a process that works on a store fail in each way, for every N. Needs strace."""
    _needs(why_no_strace())
    with _settle_dead(within, 16) as sweep:
        with _reported("kinds of failing calls") as step:
            sweep.fail_calls(most, step, onward=onward)
        console.print(f"{sweep.points:,} failures, {sweep.errors_reported:,} errors reported")


def power_cuts(
    filesystem: Annotated[str, typer.Option(help="ext4 or xfs.")] = "ext4",
    most: Most = 0,
    frames: Frames = 16,
) -> None:
    """Cut the power of a real file system in an image file before each operation of a store. Needs root."""
    _needs(why_no_loop(filesystem) if filesystem in ("ext4", "xfs") else f"{filesystem} is neither ext4 nor xfs")
    with LoopFolder(filesystem) as mount, _reported(f"power cuts on {filesystem}") as step:
        PowerCutSweep(mount, frames=frames).run(most, step)


def damage(seeds: Annotated[int, typer.Option(min=1, help="Random damages to each of the larger logs.")] = 5000) -> None:
    """Flip each bit of small logs and damage larger ones at random: each must be found, and refused or run without loss."""
    small = [make_whole(5, body_bytes=120, segment_bytes=300, snapshots=(1, 3), end=end) for end in ("close", "seal", "crash")]
    larger = [make_whole(30, snapshots=(8, 20), end=end) for end in ("close", "seal", "crash")]
    flips, random = Counter[str](), Counter[str]()
    total = sum(8 * sum(map(len, whole.files.values())) for whole in small) + seeds * len(larger)
    with _reported("damages") as step:
        for whole in small:
            check = DamageCheck(whole, counts=flips)
            for what, files in each_flip(whole.files):
                check.check(what, files)
            step(flips["damages"], total)
        for whole in larger:
            check = DamageCheck(whole, counts=random)
            for seed in range(seeds):
                check.random(seed)
                step(flips["damages"] + random["damages"], total)
    columns = ("damages", "found", "refused", "ran, with everything", "ran, with a shorter end")
    table = Table("", *columns)
    for name, counts in (("each bit flipped", flips), ("random", random)):
        table.add_row(name, *(f"{counts[column]:,}" for column in columns))
    console.print(table)
