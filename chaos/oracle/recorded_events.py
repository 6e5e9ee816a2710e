"""Recorded events one by one, with their place and time in the log.

What they mean is judged by `reference_model` and the checks, and by `recording_store` at the moment they are written.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from perdure.events.codec.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.events import vocabulary as ev
    from perdure.events.codec.wire import Batch
    from perdure.store import Frame

__all__ = ["decoded", "recorded_events"]

FRAMES_KEPT = 4096
"""A scenario has some hundreds of frames and reads each of them dozens of times: after each death, and for each check."""


@lru_cache(maxsize=FRAMES_KEPT)
def decoded(body: bytes, count: int) -> list[Batch]:
    """Return the decoded body of a frame. Events are immutable, so equal bytes are decoded once; do not change the lists."""
    return decode(body, count)


def recorded_events(frames: Iterable[Frame], after: int = 0) -> Iterator[tuple[int, int, int, ev.Event]]:
    """Yield each event after a sequence number: (index of its frame, sequence number, microseconds, event)."""
    for n, frame in enumerate(frames):
        seq = frame.first_seq
        for at_us, events in decoded(frame.body, frame.count):
            for event in events:
                if seq > after:
                    yield n, seq, at_us, event
                seq += 1
