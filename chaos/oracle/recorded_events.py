"""Facts as they are on record, one by one, with their place and time, for those who hold them against what was promised.

What they mean is looked at by `reference_model` and `checker`, and, in the moment in which they are written, by `recording_store`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from perdure.events.codec.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.oracle.recording_store import RecordingStore
    from perdure.events import vocabulary as ev
    from perdure.events.codec.wire import Batch

__all__ = ["facts", "facts_of"]

FRAMES_KEPT = 4096
"""A night has some hundreds of frames and reads each of them dozens of times: after each death, and for each look at the whole."""


@lru_cache(maxsize=FRAMES_KEPT)
def facts_of(body: bytes, count: int) -> list[Batch]:
    """Decode a frame's body. Facts cannot be changed, so the same bytes need not be decoded twice; leave the lists as they are."""
    return decode(body, count)


def facts(store: RecordingStore, after: int = 0) -> Iterator[tuple[int, int, int, ev.Event]]:
    """Give every fact on record after a sequence number: (number of its frame here, sequence number, time, fact)."""
    for n, frame in enumerate(store.all_frames(after)):
        seq = frame.first_seq
        for at_us, events in facts_of(frame.body, frame.count):
            for event in events:
                if seq > after:
                    yield n, seq, at_us, event
                seq += 1
