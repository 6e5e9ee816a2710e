"""Backpressure: publishes that wait for room in the backlog, each until its time is over.

How much room there is, is a rule (`events/publish_rules`), and the queue's word; here is who waits for it, in which order.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError, QueueFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.desk import Request
    from perdure.actors.stage import Stage
    from perdure.events.commands import Publish

__all__ = ["Parking"]


class Parking:
    """First come, first served."""

    __slots__ = ("_stage", "parked")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.parked: deque[tuple[Request, Publish]] = deque()

    def park(self, request: Request, publish: Publish, now_us: int) -> None:
        """Let a publish wait for room."""
        if not publish.deadline_us:  # sent a second time, it keeps its time
            publish.deadline_us = now_us + round(self._stage.tuning.publish_timeout_s * 1_000_000)
        self.parked.append((request, publish))

    def unpark(self, now_us: int, let_in: Callable[[Request, Publish, int], None]) -> None:
        """Let in who waits for room, as far as there is some (`let_in` says `QueueFull` where not); refuse whose time is over."""
        desk = self._stage.desk
        still: deque[tuple[Request, Publish]] = deque()
        for request, publish in self.parked:
            if request.key not in desk.outstanding:
                continue
            try:
                if still and publish.deadline_us > now_us:
                    still.append((request, publish))  # who came first has not fitted in
                    continue
                let_in(request, publish, now_us)
            except QueueFull as error:
                if publish.deadline_us <= now_us:
                    desk.refuse(request, error)
                else:
                    still.append((request, publish))
            except PerdureError as error:
                desk.refuse(request, error)
        self.parked = still

    def next_deadline_us(self) -> int:
        """When the time of the first of those who wait is over; there must be one."""
        return min(publish.deadline_us for _, publish in self.parked)
