"""All states of a disk that a power cut could leave, and the check that a store recovers from each of them.

`CrashCheck` runs a workload on a memory disk and stops at every operation. At each stop `PowerCuts` builds the states that a power
cut could leave there, and the store is opened on each. The model of the disk is in `memory_disk`, the check in `store_contract`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import random
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import attrs

from perdure.chaos.disk.memory_disk import Fault, Killed, MemoryDisk, PowerCut
from perdure.chaos.disk.memory_files import Change, File, Link, apply, follow
from perdure.chaos.disk.store_contract import Contract, Lost, check_recovery, snapshot_body
from perdure.events.errors import PerdureError, StoreUnavailable
from perdure.store import SegmentStore, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["CrashCheck", "PowerCuts", "appends", "appends_through_a_kill", "appends_through_faults", "disk_after_power_cut"]

SECTOR = 512
EXHAUSTIVE = 6
"""Up to so many pending operations are tried in every combination; of more, prefixes and samples."""
DRAWN_MAX = 64

T = TypeVar("T")


class PowerCuts:
    """The states that a power cut could leave at one moment.

    Args:
        rng: chooses samples where there are too many states.
        samples: how many samples of many pending operations.
    """

    def __init__(self, rng: random.Random, samples: int = 4) -> None:
        self._rng = rng
        self._samples = samples

    def states(self, disk: MemoryDisk) -> Iterator[MemoryDisk]:
        """Yield the disks that may be found after a cut. The given disk is not changed."""
        files = {id(file): file for file in (*disk.names_seen.values(), *disk.names_durable.values())}
        for link in disk.names_pending:
            files.update((id(file), file) for _, file in link.names if file is not None)
        open_changes = [(file, change) for file in files.values() for change in (*file.undecided, *file.pending)]
        pending: list[tuple[File, Change] | Link] = [*open_changes, *disk.names_pending]
        for kept in self._choices(pending):
            yield self._state(disk, kept, None)
            torn = next((k for k in reversed(kept) if not isinstance(k, Link) and k[1].data), None)
            if torn is not None and not isinstance(torn, Link):
                for part in self._tears(torn[1]):
                    yield self._state(disk, kept, (torn, part))

    def _choices(self, pending: Sequence[T]) -> Iterator[list[T]]:
        """Yield sets of pending operations that reached the disk: every combination of few, samples of many."""
        n = len(pending)
        if n <= EXHAUSTIVE:
            for mask in range(1 << n):
                yield [p for i, p in enumerate(pending) if mask >> i & 1]
            return
        for i in (0, 1, n // 2, n - 1, n):
            yield list(pending[:i])
        for _ in range(self._samples):
            yield [p for p in pending if self._rng.random() < 0.5]

    def _tears(self, change: Change) -> Iterator[Change]:
        """Yield what may be left of the last write: a part up to a sector or any byte, followed by nothing, zeros or garbage."""
        data = change.data or b""
        sectors = range(SECTOR - change.offset % SECTOR, len(data), SECTOR)
        ends = {*itertools.islice(sectors, 3), self._rng.randrange(len(data)), len(data) - 1}
        for end in sorted(end for end in ends if 0 <= end < len(data)):
            yield Change(change.offset, data[:end])
            yield Change(change.offset, data[:end] + bytes(len(data) - end))
        end = self._rng.randrange(len(data))
        yield Change(change.offset, data[:end] + self._rng.randbytes(len(data) - end))

    def _state(
        self,
        disk: MemoryDisk,
        kept: Sequence[tuple[File, Change] | Link],
        torn: tuple[tuple[File, Change] | Link, Change] | None,
    ) -> MemoryDisk:
        names = dict(disk.names_durable)
        contents: dict[int, bytearray] = {}
        for item in kept:
            if isinstance(item, Link):
                follow(names, item)
                continue
            file, change = item
            if torn is not None and item is torn[0]:
                change = torn[1]
            apply(contents.setdefault(id(file), bytearray(file.durable)), change)
        return MemoryDisk({name: bytes(contents.get(id(file), file.durable)) for name, file in names.items()})


@attrs.define
class CrashCheck:
    """Runs workloads of a store and cuts the power at every operation.

    `open_store` makes a store on a disk. A test can pass a store with a bug, to see that the check finds it.
    """

    seed: int = 0
    open_store: Callable[[MemoryDisk], SegmentStore] = attrs.field(
        default=lambda disk: SegmentStore("/data", disk=disk, segment_bytes=4096, new_id=lambda: b"i" * 16, now_us=lambda: 1)
    )
    nested: float = 0.02
    """The share of recoveries that are themselves cut at every operation."""
    checked: set[bytes] = attrs.field(factory=set, repr=False)
    """Digests of what was checked so far: files and what was promised. Most states come again at the next operation; each is
    checked once. Checks of the same kind of store may share one set."""
    stops: int = 0
    states: int = 0
    recoveries: int = 0
    """How many of the states differed from all before, and were recovered from."""

    def run(self, workload: Callable[[SegmentStore, Contract], None], disk: MemoryDisk | None = None) -> None:
        """Run a workload to its end and check every state on the way.

        Raises:
            Lost: the contract was broken; says at which operation.
        """
        disk = disk or MemoryDisk()
        contract = Contract()
        rng = random.Random(self.seed)
        cuts = PowerCuts(rng)

        def stop(name: str) -> None:
            self.stops += 1
            for state in cuts.states(disk):
                self.states += 1
                try:
                    self.check(state, contract, rng)
                except (PerdureError, Lost, AssertionError) as error:
                    msg = f"before operation {disk.operations} ({name}), {contract.acknowledged} acknowledged: {error!r}"
                    raise Lost(msg) from error

        disk.before_each = stop
        logging.getLogger("perdure.store").disabled = True  # thousands of torn tails would be logged
        try:
            workload(self.open_store(disk), contract)
            stop("end")
        finally:
            logging.getLogger("perdure.store").disabled = False

    def check(self, state: MemoryDisk, contract: Contract, rng: random.Random, depth: int = 1) -> None:
        """Open a store on a state that a cut left, and check its contract. Some recoveries are cut themselves, up to `depth` times.

        Raises:
            Lost: the contract was broken.
            PerdureError: the store could not be opened.
        """
        digest = _digest(state, contract)
        if digest in self.checked:
            return
        self.checked.add(digest)
        if depth and rng.random() < self.nested:
            self._check_cut_recovery(state, contract, rng)
        self.recoveries += 1
        check_recovery(lambda: self.open_store(state), contract)

    def _check_cut_recovery(self, state: MemoryDisk, contract: Contract, rng: random.Random) -> None:
        """Cut the recovery at each of its operations, and recover again."""
        cuts = PowerCuts(rng, samples=1)
        for at in itertools.count(1):
            disk = MemoryDisk(state.contents())

            def stop(_name: str, disk: MemoryDisk = disk, at: int = at) -> None:
                if disk.operations >= at:
                    raise PowerCut

            disk.before_each = stop
            store = self.open_store(disk)
            try:
                store.open()
            except PowerCut:
                disk.before_each = lambda _name: None
                for again in itertools.islice(cuts.states(disk), 8):
                    self.states += 1
                    self.check(again, contract, rng, depth=0)
                continue
            return


def _digest(state: MemoryDisk, contract: Contract) -> bytes:
    """Return a digest of all that the outcome of a check depends on."""
    files = sorted(state.contents().items())
    whole = hashlib.blake2b(f"{contract.acknowledged} {contract.dropped}".encode(), digest_size=16)
    for name, body in itertools.chain(files, (("sent", body) for body in contract.sent)):
        whole.update(f" {name} {len(body)} ".encode() + body)
    return whole.digest()


def appends_through_faults(count: int, fault: Fault) -> Callable[[SegmentStore, Contract], None]:
    """Return a workload with a fault. As a journal does, it opens the log anew after an I/O error and voids what was not synced."""

    def workload(store: SegmentStore, contract: Contract) -> None:
        disk = store.disk
        if not isinstance(disk, MemoryDisk):
            msg = "a fault needs a memory disk"
            raise TypeError(msg)
        disk.faults = [fault]
        _until_it_works(store.open)
        while contract.acknowledged < count:
            body = f"{len(contract.sent)}:".encode() + bytes(300)
            contract.sent.append(body)
            try:
                store.append(body, 1, expected_seq=store.last_seq + 1)
                if len(contract.sent) % 3:
                    continue
                store.sync()
                contract.acknowledged = len(contract.sent)
                store.save_snapshot(Snapshot(store.last_seq, snapshot_body(store.last_seq)))
                store.seal()
            except StoreUnavailable:
                void_after = contract.acknowledged
                _until_it_works(partial(store.reopen, void_after=void_after))
                if store.last_seq > void_after:
                    msg = f"{store.last_seq - void_after} events that were refused after a failed sync are in the log again"
                    raise Lost(msg) from None
                del contract.sent[store.last_seq :]
        with contextlib.suppress(StoreUnavailable):  # reported, and nothing was promised
            store.close()

    return workload


def appends_through_a_kill(count: int, at: int) -> Callable[[SegmentStore, Contract], None]:
    """Return a workload whose process is killed at an operation. Another one goes on in its folder, on a machine that stays on."""

    def workload(store: SegmentStore, contract: Contract) -> None:
        disk = store.disk
        if not isinstance(disk, MemoryDisk):
            msg = "a kill needs a memory disk"
            raise TypeError(msg)
        disk.kill_at = at
        successor = type(store)("/data", disk=disk, segment_bytes=store.segment_bytes, new_id=lambda: b"i" * 16, now_us=lambda: 1)
        try:
            appends(count, size=1500, snapshot_every=2)(store, contract)
        except Killed:
            disk.owner = None
            contract.acknowledged = min(contract.acknowledged, len(contract.sent))
            successor.open()
            del contract.sent[successor.last_seq :]
            for _ in range(count):
                contract.sent.append(b"more" + bytes(900))
                successor.append(contract.sent[-1], 1, expected_seq=successor.last_seq + 1)
                successor.sync()
                contract.acknowledged = len(contract.sent)
            successor.close()

    return workload


def _until_it_works(call: Callable[[], object], tries: int = 20) -> None:
    for left in range(tries, 0, -1):
        try:
            call()
        except StoreUnavailable:
            if left == 1:
                raise
        else:
            return


def appends(
    count: int, *, each: int = 1, size: int = 600, snapshot_every: int = 0, sync_every: int = 1
) -> Callable[[SegmentStore, Contract], None]:
    """Return a workload: open, append `count` times `each` frames of up to `size` bytes with syncs and snapshots between, close.

    After each snapshot the store keeps, drops or archives old history, as it was made to.
    """

    def workload(store: SegmentStore, contract: Contract) -> None:
        store.open()
        for n in range(count):
            for k in range(each):
                body = f"{n}.{k}:".encode() + random.Random(n * 31 + k).randbytes((n * 37 + k * 11) % size)
                contract.sent.append(body)
                store.append(body, 1, expected_seq=store.last_seq + 1)
            if n % sync_every == sync_every - 1:
                store.sync()
                contract.acknowledged = len(contract.sent)
            if snapshot_every and n % snapshot_every == snapshot_every - 1:
                store.save_snapshot(Snapshot(store.last_seq, snapshot_body(store.last_seq)))
                contract.dropped = store.last_seq
                store.retire_history()
                if sync_every == 1:
                    store.seal()
        store.close()

    return workload


def disk_after_power_cut(disk: MemoryDisk, seed: int) -> MemoryDisk:
    """Return one of the disks that a power cut at this moment could leave, drawn from its first `DRAWN_MAX` states."""
    rng = random.Random(seed)
    return rng.choice(list(itertools.islice(PowerCuts(rng, samples=2).states(disk), DRAWN_MAX)))
