"""Plant each bug in a process of its own and report whether its tool noticed it.

A test that cannot fail proves nothing. If the source no longer contains the text that a bug edits, that bug fails loudly: the
list is kept in step with the source by hand. The tools are in `tools`; the process that plants a bug is `planted`.
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

from perdure.chaos.mutation import planted
from perdure.chaos.mutation.bugs import BUGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.chaos.mutation.bug import Bug

__all__ = ["Verdict", "run_mutants"]

TIMEOUT_S = 500.0


@attrs.frozen
class Verdict:
    """The outcome of one planted bug."""

    bug: Bug
    noticed: str
    """What the tool reported; empty if it noticed nothing."""
    error: str
    """Why the bug could not be planted or the tool did not end; else empty."""
    took_s: float

    @property
    def dead(self) -> bool:
        """Whether the tool noticed the bug."""
        return bool(self.noticed)


def run_mutants(bugs: Sequence[Bug] = BUGS, processes: int = 2) -> Iterator[Verdict]:
    """Plant each bug and yield its verdict, in the order of the list."""
    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(_run_mutant, bugs)


def _run_mutant(bug: Bug) -> Verdict:
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
