"""KeyboardInterrupt at a chosen line of perdure's code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["interrupted_at"]


class _Interrupting:
    """A tracer that raises KeyboardInterrupt at the n-th line of perdure's code that this thread runs."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if "perdure" not in str(frame.f_globals.get("__name__")):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                raise KeyboardInterrupt
        return self


def interrupted_at(line: int, call: Callable[[], object]) -> bool:
    """Make a call and interrupt it at its n-th line; return whether it had so many."""
    before = sys.gettrace()
    sys.settrace(_Interrupting(line))
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False
