"""`Machine`: the wall clock and the monotonic clock of a machine, moved by a test in place of the module `time`."""

from __future__ import annotations

import attrs

__all__ = ["HOUR", "US", "Machine", "S"]

S = 1_000_000_000
US = 1_000_000
HOUR = 3600


@attrs.define
class Machine:
    """The two clocks of a machine, in nanoseconds."""

    wall: int = 1_700_000_000 * S
    monotonic: int = 5 * S
    held_up_s: int = 0

    def time_ns(self) -> int:
        """Give the wall clock; its thread may be held up over that."""
        self.live(self.held_up_s)
        return self.wall

    def monotonic_ns(self) -> int:
        """Give the time that the process lived through."""
        return self.monotonic

    def live(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += round(seconds * S)
        self.monotonic += round(seconds * S)

    def correct(self, seconds: float) -> None:
        """Put the wall clock forward or back; as well what it looks like when the machine slept."""
        self.wall += round(seconds * S)
