"""One connection between a simulated client and the owner: frames on their way, and what goes wrong with them.

Faults happen at the boundaries of frames. The ends are in `simulated_sessions` and `simulated_client`.
"""

from __future__ import annotations

from collections import deque

import attrs

__all__ = ["LinkFaults", "SimulatedLink"]


@attrs.define(eq=False)
class SimulatedLink:
    """Frames in two directions."""

    to_owner: deque[bytes] = attrs.field(factory=deque)
    to_client: deque[bytes] = attrs.field(factory=deque)
    is_over: bool = False
    """Neither end can send any more. What was sent to the client can still be read."""

    def break_off(self) -> None:
        """End it, and lose what is on its way."""
        self.is_over = True
        self.to_owner.clear()
        self.to_client.clear()


@attrs.define(eq=False)
class LinkFaults:
    """What goes wrong on the connections of one client, one after another. Counts of frames, in either direction; 0: nothing."""

    break_in: int = 0
    """The connection breaks after so many more frames."""
    repeats: int = 0
    """So many frames arrive twice. A stream never does that; it checks that a repeated frame would do no harm."""
    swaps: int = 0
    """So many frames are overtaken by the one behind them."""
    owner_hangs_until_s: float = 0.0
    """The owner's end neither reads nor answers before this monotonic time."""
    client_hangs_until_s: float = 0.0
    """The same of the client's end."""
    were_swapped: bool = False
    """Frames have been: what the client published need not be in order any more."""
    were_overtaken: bool = False
    """What was spooled waited for longer than what is asked of the owner itself waits for it: for room, as a rule."""
    were_repeated: bool = False
    """Frames have been: the owner may hold requests whose answers nothing awaits."""

    def end(self) -> None:
        """Let nothing more go wrong."""
        self.break_in = self.repeats = self.swaps = 0
        self.owner_hangs_until_s = self.client_hangs_until_s = 0.0

    def next_frame(self, link: SimulatedLink, frames: deque[bytes]) -> bytes | None:
        """Take the frame that arrives next off one direction of a link; None if the link breaks instead."""
        if self.break_in:
            self.break_in -= 1
            if not self.break_in:
                link.break_off()
                return None
        if self.swaps and len(frames) > 1:
            self.swaps -= 1
            self.were_swapped = True
            frames[0], frames[1] = frames[1], frames[0]
        frame = frames.popleft()
        if self.repeats:
            self.repeats -= 1
            self.were_repeated = True
            frames.appendleft(frame)
        return frame
