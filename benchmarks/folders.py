"""Data folders that several runs share: a waiting backlog, a log of messages that have ended, the big queue of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import perdure
from benchmarks.console import big_queue
from benchmarks.load import Job, job
from benchmarks.postgres.server import initialise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.load import Prepared

__all__ = ["EVENTS_A_MESSAGE", "KINDS", "forget_snapshots", "log_bytes", "make", "publish", "roomy"]

BATCH = 500
EVENTS_A_MESSAGE = 3
"""Published, leased, completed."""
DRAIN_S = 900.0


def roomy(backlog: int) -> perdure.Options:
    """Return options with room for a backlog and as much again."""
    return perdure.Options(backlog_max=2 * backlog + 100_000, backlog_bytes=8 << 30)


def publish(system: perdure.System, count: int) -> None:
    """Publish messages in batches."""
    for first in range(0, count, BATCH):
        system.publish_many([job(i) for i in range(first, min(first + BATCH, count))])


def waiting(folder: Path, size: int) -> None:
    """Make a folder in which `size` messages wait, all of them in its snapshot."""
    with perdure.System(folder, options=roomy(size)) as system:
        publish(system, size)


def ended(folder: Path, size: int) -> None:
    """Make a folder whose log has about `size` events of handled messages."""
    system = perdure.System(folder, options=roomy(size))

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        pass

    with system:
        publish(system, size // EVENTS_A_MESSAGE)
        system.drain(DRAIN_S)


def make(prepared: Prepared, folder: Path) -> None:
    """Make a prepared folder."""
    KINDS[prepared.kind](folder, prepared.size)


def forget_snapshots(folder: Path) -> None:
    """Remove all snapshots, so that the next start replays the log from its first event."""
    for snapshot in folder.glob("snapshot-*.snap"):
        snapshot.unlink()


def log_bytes(folder: Path) -> int:
    """Return the bytes of the log's segments."""
    return sum(segment.stat().st_size for segment in folder.glob("log-*.seg"))


KINDS: dict[str, Callable[[Path, int], None]] = {
    "waiting": waiting,
    "ended": ended,
    "console": big_queue.make,
    "postgres": initialise,
}
