"""Damage to the files of a store, as decay, bad copies and bad edits leave it, and the check that it is always noticed.

The files are in memory. What a power cut leaves is no damage: see `crash_states`.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.chaos.disk.store_contract import Lost
from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import FolderReader, SegmentStore, Snapshot, verify
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Files = dict[str, bytes]

__all__ = ["HARMS", "DamageCheck", "Whole", "each_flip", "frames_in", "make_whole"]

FOLDER = "/data"


@attrs.frozen
class Whole:
    """A folder before the damage, and the bodies of its frames: one event each, each synced before the next."""

    files: Files
    bodies: list[bytes]


def make_whole(
    frames: int, *, body_bytes: int = 300, segment_bytes: int = 2048, snapshots: tuple[int, ...] = (), end: str = "close"
) -> Whole:
    """Return the files of a new store. `end`: it is closed (`close`), or its process dies when idle (`seal`) or busy (`crash`)."""
    disk = MemoryDisk()
    store = SegmentStore(FOLDER, disk=disk, segment_bytes=segment_bytes, new_id=lambda: b"i" * 16, now_us=lambda: 1)
    store.open()
    bodies = [b"%d:" % seq + random.Random(seq).randbytes(seq * 61 % body_bytes) for seq in range(1, frames + 1)]
    for seq, body in enumerate(bodies, 1):
        store.append(body, 1, expected_seq=seq)
        store.sync()
        if seq in snapshots:
            store.save_snapshot(Snapshot(seq, b"state of %d " % seq * 3))
    if end == "close":
        store.close()
    elif end == "seal":
        store.seal()
    return Whole(disk.contents(), bodies)


def frames_in(segment: bytes) -> list[bytes]:
    """Return the header of an undamaged segment, then each of its frames."""
    parts, at = [segment[: sg.HEADER_BYTES]], sg.HEADER_BYTES
    while at < len(segment):
        size = fr.HEADER_BYTES + fr.parse(segment[at : at + fr.HEADER_BYTES]).stored_len
        parts.append(segment[at : at + size])
        at += size
    return parts


def each_flip(files: Files, bits: range = range(8)) -> Iterator[tuple[str, Files]]:
    """Yield the files with one bit flipped, for each byte of each file. `bits`: which bits of a byte, counted from its offset."""
    for name, data in files.items():
        for at in range(len(data)):
            for bit in bits:
                changed = bytearray(data)
                changed[at] ^= 1 << (at + bit) % 8
                yield f"{name} at {at}", {**files, name: bytes(changed)}


# --- kinds of damage --------------------------------------------------------------------------------------------------------


def _in_a_file(harm: Callable[[bytes, random.Random], bytes]) -> Callable[[Files, random.Random], Files]:
    def to_one(files: Files, rng: random.Random) -> Files:
        name = rng.choice(sorted(files))
        return {**files, name: harm(files[name], rng)}

    return to_one


def _in_a_log(harm: Callable[[list[bytes], random.Random], list[bytes]]) -> Callable[[Files, random.Random], Files]:
    def to_one(files: Files, rng: random.Random) -> Files:
        name = rng.choice(sorted(name for name in files if sg.first_seq_of(name)))
        header, *frames = frames_in(files[name])
        return {**files, name: b"".join([header, *harm(frames, rng)])}

    return to_one


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _range(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 16, 56, 200, 512, 4096)))


def _zero(data: bytes, rng: random.Random) -> bytes:
    start, end = _range(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def _garbage(data: bytes, rng: random.Random) -> bytes:
    start, end = _range(data, rng)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def _excise(data: bytes, rng: random.Random) -> bytes:
    start, end = _range(data, rng)
    return data[:start] + data[end:]


def _append(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 55, 56, 300, 5000))
    return data + rng.choice((bytes(size), rng.randbytes(size), data[-size:], (fr.MAGIC + b"\1\0\0\0") * (size // 8 + 1)))


def _twice(frames: list[bytes], rng: random.Random) -> list[bytes]:
    i, j = rng.randrange(len(frames)), rng.randint(0, len(frames))
    return [*frames[:j], frames[i], *frames[j:]]


def _swap(frames: list[bytes], rng: random.Random) -> list[bytes]:
    i, j = rng.randrange(len(frames)), rng.randrange(len(frames))
    frames = list(frames)
    frames[i], frames[j] = frames[j], frames[i]
    return frames


def _swap_files(files: Files, rng: random.Random) -> Files:
    a, b = rng.choice(sorted(files)), rng.choice(sorted(files))
    return {**files, a: files[b], b: files[a]}


def _without(frames: list[bytes], rng: random.Random) -> list[bytes]:
    start = rng.randrange(len(frames))
    return frames[:start] + frames[start + rng.choice((1, 1, 2)) :]


def _remove(files: Files, rng: random.Random) -> Files:
    gone = rng.choice(sorted(files))
    return {name: data for name, data in files.items() if name != gone}


HARMS: dict[str, Callable[[Files, random.Random], Files]] = {
    "bits flipped": _in_a_file(_flip),
    "a range zeroed": _in_a_file(_zero),
    "a range of garbage": _in_a_file(_garbage),
    "a range cut out": _in_a_file(_excise),
    "cut short": _in_a_file(lambda data, rng: data[: rng.randrange(len(data))]),
    "bytes appended": _in_a_file(_append),
    "a frame twice": _in_a_log(_twice),
    "frames swapped": _in_a_log(_swap),
    "frames removed": _in_a_log(_without),
    "files swapped": _swap_files,
    "a file removed": _remove,
}


# --- the check --------------------------------------------------------------------------------------------------------------


@attrs.define
class DamageCheck:
    """Opens and verifies damaged files, and counts the outcomes.

    `open_store` makes the store. A test can pass a store with a bug, to see that the check finds it.
    """

    whole: Whole
    open_store: Callable[[MemoryDisk], SegmentStore] = lambda disk: SegmentStore(FOLDER, disk=disk, segment_bytes=2048)
    counts: Counter[str] = attrs.field(factory=Counter)

    def check(self, what: str, files: Files) -> None:
        """Check one damage. `what` describes it.

        Raises:
            Lost: the damage was not found, a store ran on it, or an undocumented error was raised.
        """
        if files == self.whole.files:
            return
        self.counts["damages"] += 1
        try:
            self._verify(files)
            self._open(files)
        except Lost as error:
            raise Lost(f"{what}: {error}") from error
        except Exception as error:  # any other error is undocumented
            raise Lost(f"{what}: {error!r}") from error

    def _verify(self, files: Files) -> None:
        """Require that `verify` finds it, unless the log is undamaged and only shorter: then it looks as if it never was longer."""
        if not verify(FolderReader(FOLDER, disk=MemoryDisk(files))).ok:
            self.counts["found"] += 1
            return
        self.counts["shorter, and undetectable"] += 1
        for name, data in files.items():
            before = self.whole.files[name]
            if data == before:
                continue
            if sg.first_seq_of(name) is None or data not in itertools.accumulate(frames_in(before)):
                raise Lost(f"verify does not find the damage of {name}")

    def _open(self, files: Files) -> None:
        disk = MemoryDisk(files)
        store = self.open_store(disk)
        try:
            recovered = store.open()
            found = list(store.frames())
            for snapshot in store.snapshots():
                if snapshot.body != b"state of %d " % snapshot.seq * 3:
                    raise Lost(f"the snapshot at {snapshot.seq} was never saved")
        except (StoreCorrupt, StoreUnavailable):
            self.counts["refused"] += 1
            return
        finally:
            store.abandon()
        first_seq = found[0].first_seq if found else recovered.last_seq + 1
        if [frame.body for frame in found] != self.whole.bodies[first_seq - 1 : recovered.last_seq]:
            raise Lost(f"the store runs on {len(found)} frames from {first_seq} on that are not those that were written")
        if first_seq > 1 and not any(first_seq - 1 <= seq for seq in FolderReader(FOLDER, disk=disk).snapshot_seqs()):
            raise Lost(f"the store runs on a log from {first_seq} on, and no snapshot contains what was before")
        if recovered.last_seq == len(self.whole.bodies):
            self.counts["ran, with everything"] += 1
            return
        self.counts["ran, with a shorter end"] += 1
        self._check_shorter_end(files, recovered.last_seq)

    def _check_shorter_end(self, files: Files, last_seq: int) -> None:
        """Allow a shorter end, as after a crash, unless a later frame is there: it proves that the missing ones were synced."""
        later = [
            frame
            for name, data in self.whole.files.items()
            if sg.first_seq_of(name) is not None
            for frame in frames_in(data)[1:]
            if fr.parse(frame[: fr.HEADER_BYTES]).first_seq > last_seq + 1
        ]
        for name, data in files.items():
            if sg.first_seq_of(name) is not None and any(frame in data for frame in later):
                raise Lost(
                    f"the store runs on {last_seq} of {len(self.whole.bodies)} events, though {name} shows that there were more"
                )

    def random(self, seed: int) -> None:
        """Check one random damage.

        Raises:
            Lost: as `check`.
        """
        rng = random.Random(seed)
        harm = rng.choice(sorted(HARMS))
        self.check(f"seed {seed} ({harm})", HARMS[harm](self.whole.files, rng))
