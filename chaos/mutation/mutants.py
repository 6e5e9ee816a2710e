"""Plant each bug in a process of its own, and report whether its tool noticed it.

A test that cannot fail proves nothing. If the source no longer contains the text that a bug edits, that bug fails loudly: the
list is kept in step with the source by hand. The tools are in `tools`; the process that plants a bug is `planted`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Self

import attrs

from perdure.chaos.mutation import planted
from perdure.chaos.mutation.bugs import BUGS
from perdure.chaos.scenarios.held_interrupts import held_interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.chaos.mutation.bug import Bug

__all__ = ["Mutants", "Verdict", "run_mutants"]

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


class _Process:
    """A process that plants the bugs that it is asked for, one after another."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        command = [sys.executable, planted.__file__]
        with its:
            self._process = subprocess.Popen(command, stdin=its.fileno(), stdout=its.fileno(), start_new_session=True)  # noqa: S603 - our own file
        with ours:
            self._lines = ours.makefile("rw")

    def ask(self, spec: str) -> str:
        """Return its answer, a line; an empty one if it has been ended."""
        try:
            self._lines.write(f"{spec}\n")
            self._lines.flush()
            return self._lines.readline()
        except ConnectionError:
            return ""

    def end(self) -> None:
        """End it and its fork, which is in its group. Safe in any thread."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it; only where no other thread uses it."""
        self.end()
        with contextlib.suppress(ConnectionError):
            self._lines.close()


class Mutants:
    """Processes that plant one bug after another. Safe in any thread: each thread that asks has a process of its own."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def verdict(self, bug: Bug) -> Verdict:
        """Plant a bug, run its tool, and return what came of it."""
        spec = {
            "edits": [attrs.asdict(edit) for edit in bug.edits],
            "tool": bug.tool,
            "effort": bug.effort,
            "first": bug.first,
            "favoured": bug.favoured,
        }
        began_s = time.monotonic()
        answer = self._ask(json.dumps(spec))
        took_s = time.monotonic() - began_s
        if not answer:
            error = f"the tool took more than {TIMEOUT_S:g} s" if took_s >= TIMEOUT_S else "the run was interrupted"
            return Verdict(bug, "", error, took_s)
        status, out, err = json.loads(answer)
        lines = out.strip().splitlines()
        last = lines[-1] if lines else err.strip()[-500:]
        match status:
            case planted.KILLED:
                return Verdict(bug, last, "", took_s)
            case planted.SURVIVED:
                return Verdict(bug, "", "", took_s)
        return Verdict(bug, "", last or f"exit status {status}", took_s)

    def _ask(self, spec: str) -> str:
        """Let a process plant a bug; return its answer, or an empty one if the process was ended."""
        with self._lock:
            if self._is_over:
                return ""
            process = self._idle.pop() if self._idle else _Process()
            self._busy.add(process)
        late = threading.Timer(TIMEOUT_S, process.end)
        late.start()
        try:
            answer = process.ask(spec)
        finally:
            late.cancel()
        with self._lock:
            self._busy.discard(process)
            if answer and not self._is_over:
                self._idle.append(process)
                return answer
        process.close()
        return answer

    def end(self) -> None:
        """End all processes, and begin no more."""
        with self._lock:
            self._is_over = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for process in busy:
            process.end()
        for process in idle:
            process.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self.end()


def run_mutants(bugs: Sequence[Bug] = BUGS, processes: int = 2) -> Iterator[Verdict]:
    """Plant each bug and yield its verdict, in the order of the list.

    Raises:
        KeyboardInterrupt: Ctrl-C; the processes that run are ended.
    """
    mutants = Mutants()
    with held_interrupts() as deliver_interrupt, ThreadPoolExecutor(processes) as pool:
        verdicts = [pool.submit(mutants.verdict, bug) for bug in bugs]
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
            mutants.end()
