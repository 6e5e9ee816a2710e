"""Planted bugs: small edits of perdure's own source, each in a process of its own, to see that a tool of this room notices it.

A test that cannot fail proves nothing. An edit whose text is gone fails loudly: the list is kept in step with the source by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.disk.crash_states import CrashCheck, Lost, appends, appends_through_a_kill, appends_through_faults
from perdure.chaos.disk.memory_disk import Fault
from perdure.chaos.mutation import planted
from perdure.chaos.mutation.bugs import BUGS, Bug
from perdure.chaos.simulation.plan import draw
from perdure.chaos.simulation.shrink import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Verdict", "run_mutants", "run_tool"]

TIMEOUT_S = 150.0


@attrs.frozen
class Verdict:
    """What became of one planted bug: `noticed` says how the tool noticed it, and is empty where it did not."""

    bug: Bug
    noticed: str
    error: str
    """Why it could not be planted, where it could not."""
    took_s: float

    @property
    def dead(self) -> bool:
        """Whether the bug was found."""
        return bool(self.noticed)


def run_tool(tool: str, effort: int, first: int = 0) -> str:
    """Run a tool until it notices something, at most `effort` nights or operations; gives what it noticed, or nothing.

    The simulation begins with the seed `first`.

    Raises:
        ValueError: there is no such tool.
    """
    match tool:
        case "simulation":
            return _nights(range(first, first + effort))
        case "crash states":
            return _crash_states(effort)
    msg = f"no such tool: {tool}"
    raise ValueError(msg)


def _nights(seeds: range) -> str:
    for seed in seeds:
        failure = failure_of(draw(seed))
        if failure is not None:
            return f"night {seed}: {failure.error}"
    return ""


def _crash_states(operations: int) -> str:
    for workload in (appends(8, each=3, size=1500), appends(12, each=2, size=900, snapshot_every=3)):
        try:
            CrashCheck().run(workload)
        except Lost as error:
            return str(error)
    for at in range(1, operations):
        for code in (5, 28):
            for only in ("", "sync"):
                try:
                    CrashCheck(nested=0.0).run(appends_through_faults(9, Fault(at, code, part=10, times=1 + at % 2, only=only)))
                except Lost as error:
                    return f"failing operation {at}: {error}"
        try:
            CrashCheck(nested=0.0).run(appends_through_a_kill(4, at))
        except Lost as error:
            return f"process killed at operation {at}: {error}"
    return ""


def run_mutants(bugs: Sequence[Bug] = BUGS, processes: int = 2) -> Iterator[Verdict]:
    """Plant each bug and give its verdict, in the order of the list."""
    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(_try, bugs)


def _try(bug: Bug) -> Verdict:
    spec = {"edits": [attrs.asdict(edit) for edit in bug.edits], "tool": bug.tool, "effort": bug.effort, "first": bug.first}
    began_s = time.monotonic()
    command = [sys.executable, str(Path(planted.__file__)), json.dumps(spec)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - our own file
    except subprocess.TimeoutExpired:
        return Verdict(bug, "", f"the tool took more than {TIMEOUT_S:g} s", TIMEOUT_S)
    lines = done.stdout.strip().splitlines()
    last = lines[-1] if lines else done.stderr.strip()[-500:]
    took_s = time.monotonic() - began_s
    match done.returncode:
        case planted.KILLED:
            return Verdict(bug, last, "", took_s)
        case planted.SURVIVED:
            return Verdict(bug, "", "", took_s)
    return Verdict(bug, "", last or f"exit status {done.returncode}", took_s)
