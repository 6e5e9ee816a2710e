"""The settings of the interpreter that a run changes and restores: GC threshold and switch interval.

Not here: the two options and their defaults (`perdure.options`).
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.options import Options

__all__ = ["InterpreterSettings"]


class InterpreterSettings:
    """The changes that one run made to the interpreter. Used under the system's lifecycle lock."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._thresholds: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
        """The thresholds before and during the run."""
        self._switch_intervals: tuple[float, float] | None = None
        """The interval before and during the run."""

    def apply(self) -> None:
        """Raise the GC threshold and set the switch interval as `gc_threshold` and `switch_interval_s` say."""
        wanted, before = self._options.gc_threshold, gc.get_threshold()
        if 0 < before[0] < wanted:
            self._thresholds = (before, (wanted, max(before[1], 20), max(before[2], 100)))
            gc.set_threshold(*self._thresholds[1])
        interval_s = self._options.switch_interval_s
        if interval_s is not None:
            before_s = sys.getswitchinterval()
            sys.setswitchinterval(interval_s)
            self._switch_intervals = (before_s, sys.getswitchinterval())

    def restore(self) -> None:
        """Restore each setting, unless the host has changed it since `apply`."""
        intervals, self._switch_intervals = self._switch_intervals, None
        if intervals is not None and sys.getswitchinterval() == intervals[1]:
            sys.setswitchinterval(intervals[0])
        if self._thresholds is not None and gc.get_threshold() == self._thresholds[1]:
            gc.set_threshold(*self._thresholds[0])
