"""What an owner that reads its log tells those that wait, and how long they do. Pure: times are the caller's, in seconds."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OWNER_WAIT_S", "Reading", "UnlessTold", "is_news", "waits_until"]

SILENT_S = 3.0
"""An owner that reads its log and tells nothing for so long may be stopped."""


class Reading(NamedTuple):
    """How far an owner has read its log."""

    seq: int
    """Up to which sequence number; 0: not even a snapshot is read."""
    last_seq: int
    """Of the log's last event; 0: that is not known yet."""
    told_s: float

    def in_words(self, now_s: float) -> str:
        """Return what its owner does, or has done when it was heard last."""
        upto = f" (up to sequence {self.seq:,} of {self.last_seq:,})" if self.last_seq else ""
        if self.is_silent(now_s):
            return f"was reading its log{upto}, and has told nothing for {now_s - self.told_s:.0f} s"
        return f"still reads its log{upto}"

    def is_silent(self, now_s: float) -> bool:
        """Return whether its owner has told nothing for a while."""
        return now_s > self.told_s + SILENT_S


class UnlessTold(float):
    """Seconds to wait for an owner that no caller chose: while one tells how it gets on with its log, it is waited for.

    A number that a caller gives is the most that is waited.
    """

    __slots__ = ()


OWNER_WAIT_S = UnlessTold(10.0)
"""How long a start, and each request, waits for an owner and for a sign of life of the one that there is."""


def is_news(steps: int, told: int | None) -> bool:
    """Return whether a reader is to tell how far it is: it was asked and has told nothing yet, or has got on since it told that.

    One that stays where it is tells nothing: those that wait for it give up in time.
    """
    return told is None or steps != told


def waits_until(asked_s: float, heard_s: float, told_s: float, timeout_s: float) -> float:
    """Return until when a request waits that was asked at `asked_s`.

    Args:
        asked_s: when it was asked.
        heard_s: when an owner that answers was heard last.
        told_s: when an owner told last that it reads its log.
        timeout_s: how long it waits for an owner, and for a word of the one that has it.
    """
    return max(asked_s, heard_s, told_s if isinstance(timeout_s, UnlessTold) else asked_s) + timeout_s
