"""SIGKILL at the N-th executed line or bytecode of the store: a forked child counts its steps and kills itself.

Its work is in `disk.workload`; what must hold afterwards is in `disk.store_contract`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

import perdure.store
from perdure.chaos.processes.forked_child import Ended, forked

if TYPE_CHECKING:
    from types import FrameType

    from perdure.chaos.processes.forked_child import Report, Work

__all__ = ["Lines"]

STORE = str(Path(perdure.store.__file__).parent)


@attrs.define
class Lines:
    """Runs work in children that count their steps in the code of one folder."""

    folder: str = STORE
    opcodes: bool = False
    """Count bytecodes instead of lines."""

    def run(self, work: Work, kill_at: int) -> Ended:
        """Do the work in a child that dies at a step; 0: at none."""
        with forked(lambda report: self._count_steps(work, report, kill_at)) as child:
            child.go()
            return child.wait()

    def count(self, work: Work) -> int:
        """Return the number of steps of undisturbed work.

        Raises:
            AssertionError: it failed.
        """
        ended = self.run(work, 0)
        if ended.status != 0:
            raise AssertionError(f"the work fails undisturbed: {ended}")
        return int(ended.reports[-1].removeprefix("steps "))

    def _count_steps(self, work: Work, report: Report, kill_at: int) -> None:
        steps, counted = 0, "opcode" if self.opcodes else "line"

        def within(_frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal steps
            if event == counted:
                steps += 1
                if steps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return within

        def enter(frame: FrameType, _event: str, _arg: Any) -> Any:
            if not frame.f_code.co_filename.startswith(self.folder):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = self.opcodes, not self.opcodes
            return within

        sys.settrace(enter)
        try:
            work(report)
        finally:
            sys.settrace(None)
        report(f"steps {steps}")
