"""`tail -f` of a whole queue: the events of all partitions as they are written, each with the number of its partition."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from perdure.cli.existing_folder import existing_folder
from perdure.cli.json_output import at_partition
from perdure.operations.audit import Audit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from perdure.cli.look.tail_filter import TailFilter
    from perdure.operations.reading.record import Record

__all__ = ["follow_all", "last_of_all", "pause"]

POLL_S = 0.2
"""How often it looks whether a log has grown."""


def follow_all(
    addresses: Mapping[int, str], only: TailFilter, lines: int, show: Callable[[Record], None], **chosen: Any
) -> NoReturn:
    """Show the last events of all partitions by their times, then those that follow, until interrupted.

    Args:
        addresses: of the partitions, by number.
        only: passes the events that are shown.
        lines: how many of the last ones to begin with.
        show: prints one; `PARTITION` has the number of its partition.
        chosen: as `Audit.follow`.

    Raises:
        StoreUnavailable: a partition holds no log, or the database cannot be read.
    """
    followed = {}
    for number, address in addresses.items():
        existing_folder(address)
        followed[number] = Audit(address).follow(_no_wait, **chosen)
    last = [(record.at, number, record) for number, records in followed.items() for record in deque(_new(records, only), lines)]
    for _, number, record in sorted(last, key=lambda one: one[:2])[-lines:] if lines else ():
        with at_partition(number):
            show(record)
    while True:
        pause()
        for number, records in followed.items():
            with at_partition(number):
                for record in _new(records, only):
                    show(record)


def last_of_all(addresses: Mapping[int, str], only: TailFilter, lines: int, **chosen: Any) -> list[tuple[dt.datetime, int, Record]]:
    """Return the last events of all partitions by their times, each with its time and its partition; arguments as `follow_all`."""
    found: list[tuple[dt.datetime, int, Record]] = []
    for number, address in addresses.items():
        existing_folder(address)
        records = Audit(address).follow(_no_wait, **chosen)
        found += [(record.at, number, record) for record in deque(_new(records, only), lines)]
    return sorted(found, key=lambda one: (one[0], one[1], one[2].seq))[-lines:] if lines else []


def _new(records: Iterator[Record | None], only: TailFilter) -> Iterator[Record]:
    """Yield what was written since the last time."""
    for record in records:
        if record is None:
            return
        if only.passes(record):
            yield record


def pause() -> None:
    """Wait a moment; an interrupt ends it."""
    time.sleep(POLL_S)


def _no_wait() -> None:
    """Do nothing: all partitions are read before a wait."""
