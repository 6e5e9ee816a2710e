"""Plant each bug in a process of its own and report whether its tool noticed it.

A test that cannot fail proves nothing. If the source no longer contains the text that a bug edits, that bug fails loudly: the
list is kept in step with the source by hand. The tools are in `tools`; the process that plants a bug is `planted`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.mutation import planted
from perdure.chaos.mutation.bugs import BUGS
from perdure.chaos.scenarios.held_interrupts import held_interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.chaos.mutation.bug import Bug

__all__ = ["Verdict", "run_mutants"]

TIMEOUT_S = 500.0
LOOK_S = 0.1
"""How long an interrupt waits at most until it is delivered."""


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


class _Processes:
    """The processes that run now; they are ended where no verdict is waited for any more. Safe in any thread."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def run(self, command: list[str]) -> tuple[int, str, str]:
        """Run a process to its end; return its exit status and what it wrote on stdout and stderr.

        Raises:
            subprocess.TimeoutExpired: it took too long, and was ended.
        """
        with self._lock:
            if self._is_over:
                return -1, "", "not begun: the run was interrupted"
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own file
            self._running.add(process)
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
            self._running.discard(process)
        return process.returncode, out, err

    def end(self) -> None:
        """End all that run, and begin no more."""
        with self._lock:
            self._is_over = True
            running = list(self._running)
        for process in running:
            process.kill()


def run_mutants(bugs: Sequence[Bug] = BUGS, processes: int = 2) -> Iterator[Verdict]:
    """Plant each bug and yield its verdict, in the order of the list.

    Raises:
        KeyboardInterrupt: Ctrl-C; the processes that run are ended.
    """
    running = _Processes()
    with held_interrupts() as deliver_interrupt, ThreadPoolExecutor(processes) as pool:
        verdicts = [pool.submit(_run_mutant, bug, running) for bug in bugs]
        try:
            for verdict in verdicts:
                deliver_interrupt()
                while not verdict.done():
                    wait([verdict], LOOK_S)
                    deliver_interrupt()
                yield verdict.result()
        finally:
            for verdict in verdicts:
                verdict.cancel()
            running.end()


def _run_mutant(bug: Bug, processes: _Processes) -> Verdict:
    spec = {
        "edits": [attrs.asdict(edit) for edit in bug.edits],
        "tool": bug.tool,
        "effort": bug.effort,
        "first": bug.first,
        "favoured": bug.favoured,
    }
    began_s = time.monotonic()
    command = [sys.executable, str(Path(planted.__file__)), json.dumps(spec)]
    try:
        status, out, err = processes.run(command)
    except subprocess.TimeoutExpired:
        return Verdict(bug, "", f"the tool took more than {TIMEOUT_S:g} s", TIMEOUT_S)
    lines = out.strip().splitlines()
    last = lines[-1] if lines else err.strip()[-500:]
    took_s = time.monotonic() - began_s
    match status:
        case planted.KILLED:
            return Verdict(bug, last, "", took_s)
        case planted.SURVIVED:
            return Verdict(bug, "", "", took_s)
    return Verdict(bug, "", last or f"exit status {status}", took_s)
