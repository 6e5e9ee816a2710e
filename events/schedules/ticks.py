"""Which ticks of a schedule are due, and which of them are published.

Pure. The function `after` of a schedule returns its next tick; the queue decides that each tick counts once (`Tick`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from perdure.events.commands import Tick
    from perdure.events.queue.state import QueueState, TypeCounts

__all__ = ["MISSED_MAX", "TICK_PREFIX", "Due", "abandoned", "comes_too_early", "due", "is_set_back"]

TICK_PREFIX = "every:"
"""The message type of a schedule is this and the name of the schedule."""
MISSED_MAX = 1_000
"""How many missed ticks are published at most where the policy is `all`; earlier ones are passed over."""
SET_BACK_US = 3 * 3600 * 1_000_000
"""A schedule waits for the old time where its clock is put back by up to this, as by a wrong change to winter time."""
WALK_MAX = 4 * MISSED_MAX
"""How many ticks are looked at in one go; a schedule may be far denser at one time than at another."""


@attrs.frozen
class Due:
    """One tick that is due; `publish`: whether its message is published, or the tick is passed over."""

    due_us: int
    publish: bool


def due(after: Callable[[int], int], last_us: int, now_us: int, *, missed: str, started_us: int) -> tuple[list[Due], int]:
    """Return the due ticks in order, and the time of the next tick.

    Args:
        after: returns the first tick after a time.
        last_us: the last tick that is done.
        now_us: the time.
        missed: of the ticks during which nothing ran, publish the `last`, `all` or `none`.
        started_us: when the process began. A single tick that was due since then is late, not missed.
    """
    times, next_us = _latest(after, last_us, now_us)
    if len(times) == 1 and times[0] >= started_us:
        return [Due(times[0], publish=True)], next_us
    return [Due(at_us, missed == "all" or (missed == "last" and at_us == times[-1])) for at_us in times], next_us


def _latest(after: Callable[[int], int], last_us: int, now_us: int) -> tuple[list[int], int]:
    """Return the last ticks up to now, at most `MISSED_MAX`, and the next one, in a time that does not grow with their number.

    The start is estimated from the gap between the next two ticks, and searched where the schedule is uneven.
    """
    next_us = after(max(last_us, now_us))
    if last_us >= now_us:
        return [], next_us
    far_us, near_us, dense = last_us, now_us, False  # too few from `near_us` on; too many from `far_us` on, if `dense`
    start_us = max(last_us, now_us - MISSED_MAX * (after(next_us) - next_us))
    while True:
        times = _walk(after, start_us, now_us)
        if times is None:
            far_us, dense = start_us, True
        elif start_us <= last_us or len(times) >= MISSED_MAX:
            return times[-MISSED_MAX:], next_us
        else:
            near_us = start_us
        if near_us - far_us <= 1:
            msg = f"after({far_us}) and what follows it do not go forward"
            raise ValueError(msg)
        wider_us = now_us - 4 * (now_us - near_us)
        between = times is None or (dense and wider_us <= far_us)
        start_us = (far_us + near_us) // 2 if between else max(last_us, wider_us)


def _walk(after: Callable[[int], int], start_us: int, now_us: int) -> list[int] | None:
    """Return the ticks after a time up to now; None where there are more than `WALK_MAX`."""
    times: list[int] = []
    tick_us = after(start_us)
    while tick_us <= now_us:
        times.append(tick_us)
        if len(times) > WALK_MAX:
            return None
        tick_us = after(tick_us)
    return times


def abandoned(state: QueueState, handled: Collection[str]) -> Iterator[str]:
    """Return the ids of live ticks whose schedule has no handler any more, so that nothing would ever handle them."""
    types = {name for name, counts in state.by_type.items() if name.startswith(TICK_PREFIX) and _waiting(counts)}
    types -= set(handled)
    if not types:
        return
    for message in list(state.messages.values()):
        if message.published.type in types:
            yield message.published.id
    for block in list(state.blocks.values()):
        if block.type in types:
            for number in block.numbers:
                plain = None if number in state.messages else state.look(number)
                if plain is not None:
                    yield plain.published.id


def _waiting(counts: TypeCounts) -> int:
    return counts.ready + counts.delayed + counts.held


def is_set_back(last_us: int, now_us: int) -> bool:
    """Return whether a schedule goes on from now, as cron does where its clock is put back by three hours or more."""
    return last_us - now_us > SET_BACK_US


def comes_too_early(ticks: Mapping[str, int], tick: Tick) -> bool:
    """Return whether the tick before this one is not done: a journal lost it, and both will be sent again in order.

    Or the clock was put back since this one was sent, and the tick before it will not be done. A tick of the schedule that begins
    anew at the new time is never too early.

    Args:
        ticks: by schedule, the due time of the last tick on record.
        tick: the tick that has come.
    """
    return not tick.anew and ticks.get(tick.schedule, 0) < tick.after_us
