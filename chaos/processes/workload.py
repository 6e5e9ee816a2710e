"""What a store is put through in a real process: frames, syncs, new segments, snapshots, drops, closing and opening again.

It goes about it as the journal does, and tells each step before it is taken and each promise once it is given. Who breaks it
meanwhile is in `syscalls`, `lines` and `power`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.oracle.contract import Contract, Lost, snapshot_body
from perdure.events.errors import StoreUnavailable
from perdure.store import SegmentStore, Snapshot
from perdure.store.files.history import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.store.disk.disk import Disk

__all__ = ["StoreWork", "heard", "open_small"]

GIVES_UP_AFTER = 8
"""So many errors in a row, and it takes the disk for gone."""


def open_small(folder: Path, disk: Disk | None = None) -> SegmentStore:
    """Give a store whose segments are so small that a short workload has several."""
    return SegmentStore(folder, segment_bytes=2048, disk=disk, history=History("drop"))


def body(seq: int, attempt: int) -> bytes:
    """Give the body of an event; the attempt tells it from one under the same number that was voided."""
    return f"{seq}.{attempt}:".encode() + random.Random(seq * 31 + attempt).randbytes(seq * 97 % 600)  # noqa: S311 - to be repeated


@attrs.define
class StoreWork:
    """One run on a folder. `tell` is called with `sent N ATTEMPT`, `ack N`, `drop N`, `void N` and `error WHAT`."""

    folder: Path
    tell: Callable[[str], None]
    frames: int = 16
    make: Callable[[Path], SegmentStore] = open_small
    after_error: Callable[[], None] = lambda: None
    """What the world does after an error, for example make room on the disk."""
    acknowledged: int = 0
    attempt: int = 0
    in_a_row: int = 0
    """Errors since the last frame that was synced."""

    def run(self) -> None:
        """Do all of it, through any errors; every few frames one of the rarer things.

        Raises:
            StoreUnavailable: it never got better.
        """
        store = self.make(self.folder)
        self._until_it_works(store.open)
        while self.acknowledged < self.frames:
            try:
                self._next(store)
            except StoreUnavailable as error:
                self._told(error)
                if self.in_a_row >= GIVES_UP_AFTER:
                    raise
                self._until_it_works(lambda: store.reopen(void_after=self.acknowledged))
                self.tell(f"void {store.last_seq}")
                self.acknowledged = store.last_seq  # what is there now was read from the disk
        try:
            store.close()
        except StoreUnavailable as error:
            self._told(error)

    def _next(self, store: SegmentStore) -> None:
        seq = store.last_seq + 1
        self.tell(f"sent {seq} {self.attempt}")
        store.append(body(seq, self.attempt), 1, expected_seq=seq)
        if seq % 3 and seq < self.frames:
            return
        store.sync()
        self.tell(f"ack {seq}")
        self.acknowledged, self.in_a_row = seq, 0
        if seq % 4 == 0 or seq == self.frames:
            store.seal()
        if seq % 6 == 0:
            store.save_snapshot(Snapshot(seq, snapshot_body(seq)))
        if seq == self.frames - 1:
            self.tell(f"drop {seq}")
            self._restart(store)

    def _restart(self, store: SegmentStore) -> None:
        """Drop what is old, close, and open again; what fails meanwhile is told, and harms nothing that was promised."""
        try:
            store.retire_history()
            store.close()
        except StoreUnavailable as error:
            self._told(error)
            store.abandon()
        self._until_it_works(store.open)

    def _until_it_works(self, call: Callable[[], object]) -> None:
        while True:
            try:
                call()
            except StoreUnavailable as error:
                self._told(error)
                if self.in_a_row >= GIVES_UP_AFTER:
                    raise
            else:
                return

    def _told(self, error: Exception) -> None:
        self.attempt += 1
        self.in_a_row += 1
        self.tell(f"error {type(error).__name__}: {error}")
        self.after_error()


def heard(told: list[str]) -> Contract:
    """Give what was promised by what was told.

    Raises:
        Lost: it was told of a loss.
    """
    contract = Contract()
    for line in told:
        match line.split():
            case ["sent", seq, attempt]:
                del contract.sent[int(seq) - 1 :]
                contract.sent.append(body(int(seq), int(attempt)))
            case ["ack", seq]:
                contract.acknowledged = int(seq)
            case ["drop", seq]:
                contract.dropped = int(seq)
            case ["void", seq]:
                if int(seq) < contract.acknowledged:
                    raise Lost(f"opened again, it ends with {seq} of {contract.acknowledged} acknowledged")
                del contract.sent[int(seq) :]
    return contract
