"""The workload of a store in a real process: frames, syncs, new segments, snapshots, drops, closing and opening again.

It uses the store as the journal does. It reports each step before it is taken and each answer after it is given. What fails
meanwhile is in `kernel_power_cuts` and `processes`; what the store finds afterwards is checked by `store_contract`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.disk.store_contract import Contract, Lost, snapshot_body
from perdure.events.errors import StoreUnavailable
from perdure.store import SegmentStore, Snapshot
from perdure.store.disk.disk import Disk
from perdure.store.files.retention import History

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["StoreWork", "contract_of", "open_small", "spread"]

GIVES_UP_AFTER = 8
"""After so many errors in a row the workload takes the disk for lost."""


class TimelessDisk(Disk):
    """The machine's disk; what a store does on it depends on no clock, so that each run of a workload has the same steps."""

    identity_check_s = float("inf")


def open_small(folder: Path, disk: Disk | None = None) -> SegmentStore:
    """Return a store whose segments are so small that a short workload has several."""
    return SegmentStore(folder, segment_bytes=2048, disk=disk or TimelessDisk(), history=History("drop"))


def body(seq: int, attempt: int) -> bytes:
    """Return the body of an event. The attempt distinguishes it from a voided one of the same number."""
    return f"{seq}.{attempt}:".encode() + random.Random(seq * 31 + attempt).randbytes(seq * 97 % 600)


@attrs.define
class StoreWork:
    """One run on a folder. `report` is called with `sent N ATTEMPT`, `ack N`, `drop N`, `void N` and `error WHAT`."""

    folder: Path
    report: Callable[[str], None]
    frames: int = 16
    make: Callable[[Path], SegmentStore] = open_small
    after_error: Callable[[], None] = lambda: None
    """Called after each error, for example to make room on the disk."""
    acknowledged: int = 0
    attempt: int = 0
    in_a_row: int = 0
    """Errors since the last frame that was synced."""

    def run(self) -> None:
        """Do all of it, through any errors; every few frames do one of the rarer things.

        Raises:
            StoreUnavailable: too many errors in a row.
        """
        store = self.make(self.folder)
        self._until_it_works(store.open)
        while self.acknowledged < self.frames:
            try:
                self._next(store)
            except StoreUnavailable as error:
                self._note_error(error)
                if self.in_a_row >= GIVES_UP_AFTER:
                    raise
                self._until_it_works(lambda: store.reopen(void_after=self.acknowledged))
                self.report(f"void {store.last_seq}")
                self.acknowledged = store.last_seq  # what it finds now was read from the disk
        try:
            store.close()
        except StoreUnavailable as error:
            self._note_error(error)

    def _next(self, store: SegmentStore) -> None:
        seq = store.last_seq + 1
        self.report(f"sent {seq} {self.attempt}")
        store.append(body(seq, self.attempt), 1, expected_seq=seq)
        if seq % 3 and seq < self.frames:
            return
        store.sync()
        self.report(f"ack {seq}")
        self.acknowledged, self.in_a_row = seq, 0
        if seq % 4 == 0 or seq == self.frames:
            store.seal()
        if seq % 6 == 0:
            store.save_snapshot(Snapshot(seq, snapshot_body(seq)))
        if seq == self.frames - 1:
            self.report(f"drop {seq}")
            self._restart(store)

    def _restart(self, store: SegmentStore) -> None:
        """Drop old history, close, and open again. An error meanwhile is reported; it breaks no contract."""
        try:
            store.retire_history()
            store.close()
        except StoreUnavailable as error:
            self._note_error(error)
            store.abandon()
        self._until_it_works(store.open)

    def _until_it_works(self, call: Callable[[], object]) -> None:
        while True:
            try:
                call()
            except StoreUnavailable as error:
                self._note_error(error)
                if self.in_a_row >= GIVES_UP_AFTER:
                    raise
            else:
                return

    def _note_error(self, error: Exception) -> None:
        self.attempt += 1
        self.in_a_row += 1
        self.report(f"error {type(error).__name__}: {error}")
        self.after_error()


def contract_of(reports: list[str]) -> Contract:
    """Return what the store has acknowledged, from the reports of a workload.

    Raises:
        Lost: the reports show a loss.
    """
    contract = Contract()
    for line in reports:
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
                    raise Lost(f"opened again, the log ends with {seq} of {contract.acknowledged} acknowledged")
                del contract.sent[int(seq) :]
    return contract


def spread(points: Sequence[int], most: int) -> list[int]:
    """Return at most so many of the points, evenly spread, the last one included; 0: all."""
    if not most or len(points) <= most:
        return list(points)
    return [points[(k + 1) * len(points) // most - 1] for k in range(most)]
