"""SIGKILL at the N-th executed line, or bytecode, of the store: a forked child counts what it executes, and kills itself.

What the child does is in `workload`, and what must hold afterwards in `contract`.
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

    from perdure.chaos.processes.forked_child import Tell, Work

__all__ = ["Lines"]

STORE = str(Path(perdure.store.__file__).parent)


@attrs.define
class Lines:
    """Runs work in children that count their steps in the code of one folder."""

    room: str = STORE
    opcodes: bool = False
    """Count bytecodes, not lines."""

    def run(self, work: Work, kill_at: int) -> Ended:
        """Do the work in a child that dies at a step."""
        with forked(lambda tell: self._counted(work, tell, kill_at)) as child:
            child.go()
            return child.wait()

    def count(self, work: Work) -> int:
        """Count the steps of untouched work.

        Raises:
            AssertionError: it failed all by itself.
        """
        ended = self.run(work, 0)
        if ended.status != 0:
            raise AssertionError(f"the work fails untouched: {ended}")
        return int(ended.told[-1].removeprefix("steps "))

    def _counted(self, work: Work, tell: Tell, kill_at: int) -> None:
        steps, counted = 0, "opcode" if self.opcodes else "line"

        def within(_frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal steps
            if event == counted:
                steps += 1
                if steps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return within

        def enter(frame: FrameType, _event: str, _arg: Any) -> Any:
            if not frame.f_code.co_filename.startswith(self.room):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = self.opcodes, not self.opcodes
            return within

        sys.settrace(enter)
        try:
            work(tell)
        finally:
            sys.settrace(None)
        tell(f"steps {steps}")
