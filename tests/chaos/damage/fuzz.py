"""A coverage-guided fuzzer for everything that reads bytes of a store. Run it by hand.

`pip install atheris`, then `python tests/chaos/damage/fuzz.py [-max_total_time=600] [CORPUS]`.
It stops at the first undocumented error.
In CI, Hypothesis does the same without coverage (`test_hostile_bytes`).
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # not a dependency

with atheris.instrument_imports():
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.events.codec import wire
    from perdure.events.codec.snapshot import States
    from perdure.events.errors import StoreCorrupt, StoreUnavailable
    from perdure.store import FolderReader, SegmentStore, verify
    from perdure.store.format import frame as fr
    from perdure.store.format import segment as sg
    from perdure.store.format import snapshot_file

SIZE_MAX = 1 << 20
HEADER = sg.pack_header(sg.SegmentHeader(b"i" * 16, 1, 1, b"c" * 16, 1))


def events(data: bytes) -> None:
    wire.decode(data[1:], data[0])


def snapshot(data: bytes) -> None:
    States.decode(data)


def snapshot_in_file(data: bytes) -> None:
    name = snapshot_file.file_name(1)
    snapshot_file.read(MemoryDisk({name: data}), Path("/data") / name, None)


def frame(data: bytes) -> None:
    header = fr.parse(data)
    fr.check(header, data[: fr.HEADER_BYTES], data[fr.HEADER_BYTES :], fr.seed(b"i" * 16))


def compressed(data: bytes) -> None:
    assert len(fr.inflate(data[4:], int.from_bytes(data[:4], "little") % SIZE_MAX)) < SIZE_MAX


def folder(data: bytes) -> None:
    disk = MemoryDisk({sg.file_name(1): HEADER + data})
    verify(FolderReader("/data", disk=disk))
    store = SegmentStore("/data", disk=disk)
    try:
        store.open()
        list(store.frames())
    finally:
        store.abandon()


TARGETS = (events, snapshot, snapshot_in_file, frame, compressed, folder)


def one(data: bytes) -> None:
    """Let the reader that the first byte selects read the others."""
    if len(data) > 1:
        with contextlib.suppress(StoreCorrupt, StoreUnavailable, fr.BadFrame):
            TARGETS[data[0] % len(TARGETS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
