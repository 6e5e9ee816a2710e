"""The snapshotter: folds the log beside the queue, and saves what it has.

It holds up no other actor: it reads what the journal has written, from its own last state on. A failed snapshot is tried again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor
from perdure.actors.core.messages import Restarted, TakeSnapshot
from perdure.actors.journal.log_fold import advance
from perdure.actors.requests.request import Request
from perdure.events.errors import FolderMoved, OwnershipLost, PerdureError, StoreUnavailable, another
from perdure.events.loggers import GuardedLogger
from perdure.store import Snapshot

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.health import Health
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.events.codec.snapshot import States

__all__ = ["Snapshotter", "retire", "save_start", "take"]

logger = GuardedLogger("perdure")

KEPT_MESSAGES_MAX = 100_000
"""With more live messages than this the folded state is not kept between snapshots: it would double the memory, and the payloads on
disk."""
SPILLED_PART = 4
"""While payloads are on the disk, at least a fourth as many events as there are live messages lie between two snapshots."""


def take(log: LogState, health: Health, states: States | None) -> States:
    """Fold on from `states` (or from the newest snapshot) to the end of what is synced, and save it.

    Raises:
        StoreUnavailable: it could not be written. The log is untouched, and so are the older snapshots.
        StoreCorrupt: the log could not be read.
    """
    store = log.store
    # What is not synced may be voided, and its numbers given to other events: it must not get into states that are kept.
    until = store.synced_seq if log.fsyncs else store.last_seq
    if states is None:
        states, _ = log.fold(until)
    else:
        advance(store, states, until)
    if states.seq:
        store.save_snapshot(Snapshot(states.seq, states.chunks))  # piece by piece, as it may not fit into memory
        health.count("snapshots")
        retire(log, health)
    return states


def retire(log: LogState, health: Health) -> None:
    """Drop or archive history that no kept snapshot needs, if the options say so. A failure costs room, and is tried again."""
    try:
        gone = log.store.retire_history()
    except PerdureError as error:
        health.count("history_failures")
        logger.warning("old history stays for now, the queue goes on and it will be tried again: %s", error)
        return
    if gone:
        health.count("segments_retired", gone)


def save_start(log: LogState, health: Health) -> int:
    """Save the state that the start has folded, if there is one that is not saved yet; return its sequence number, else 0.

    Raises:
        StoreUnavailable: as `take`.
    """
    snapshot, log.start_snapshot = log.start_snapshot, None
    if snapshot is None or snapshot.seq > (log.store.synced_seq if log.fsyncs else log.store.last_seq):
        return 0
    log.store.save_snapshot(snapshot)
    health.count("snapshots")
    retire(log, health)
    return snapshot.seq


class Snapshotter(Actor):
    """Takes a snapshot when asked; the journal asks as the log grows."""

    def __init__(self, directory: Home, pending: PendingRequests, log: LogState, health: Health, generation: int) -> None:
        super().__init__(directory, "snapshotter", generation)
        self.pending = pending
        self.log = log
        self.health = health
        self.states: States | None = None

    def on_start(self) -> None:
        """Take up the requests that the predecessor left unanswered."""
        if requests := self.pending.unanswered(self.name):
            self.on_batch(requests)

    def on_batch(self, messages: list[Any]) -> None:
        """Take one snapshot for all requests of the batch."""
        if any(isinstance(message, Restarted) and message.name == "journal" for message in messages):
            self.states = None  # the log was opened anew, and may have been cut
        asked = [message for message in messages if isinstance(message, Request)]
        if not asked and not any(isinstance(message, TakeSnapshot) for message in messages):
            return
        try:
            if save_start(self.log, self.health) and not asked:
                return  # the log has grown little since
            self.states = take(self.log, self.health, self.states)
        except Exception as error:  # without a snapshot the system goes on; to stop for it would be worse
            self.states = None
            self.health.count("snapshot_failures")
            is_told = isinstance(error, (PerdureError, OSError))  # its message says all; else it is a fault of perdure's
            level = logging.WARNING if isinstance(error, (StoreUnavailable, OSError)) else logging.ERROR
            why = "a snapshot failed, the queue goes on and it will be tried again: %s"
            logger.log(level, why, error if is_told else repr(error), exc_info=None if is_told else error)
            refusal = error if isinstance(error, PerdureError) else StoreUnavailable(f"the snapshot was not written: {error!r}")
            for request in asked:
                self.pending.refuse(request, another(refusal))
            if isinstance(error, (FolderMoved, OwnershipLost)):
                raise
            return
        for request in asked:
            self.pending.settle(request, self.states.seq)
        if self.states.queue.spilled_bytes:  # a snapshot takes as long as its payloads: not for each few events a long one
            self.log.snapshot_due = max(self.log.snapshot_due, self.states.seq + self.states.queue.live // SPILLED_PART)
        if self.states.queue.live > KEPT_MESSAGES_MAX or self.states.queue.spilled_bytes:
            self.states = None
