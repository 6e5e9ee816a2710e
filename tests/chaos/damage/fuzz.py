"""A coverage-guided fuzzer for everything that reads bytes of a store, or of another process. Run it by hand.

`pip install atheris`, then `python tests/chaos/damage/fuzz.py [-max_total_time=600] [CORPUS]`.
It stops at the first undocumented error.
In CI, Hypothesis does the same without coverage (`test_hostile_bytes`, and `test_hostile_peers` in tests/actors/sessions).
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # not a dependency

with atheris.instrument_imports():
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.crossing import OBJECTS
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.framing.objects import BadObject
    from perdure.actors.sessions.framing.wire import HELLO_MAX, PROTOCOL, Assembler, BadFrame, Kind, pack
    from perdure.actors.sessions.owner import Owner
    from perdure.actors.sessions.session import Ended, Session
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.events.codec import wire
    from perdure.events.codec.snapshot import States
    from perdure.events.errors import NotRunning, StoreCorrupt, StoreUnavailable
    from perdure.options import Options
    from perdure.processes.to_owner.exchange import Exchange
    from perdure.processes.to_owner.no_owner import NoAnswer
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


def peer(data: bytes) -> None:
    """What a peer sends to an owner, after it has said hello."""
    owner = Owner(
        pending=PendingRequests(lambda _target, _request: None),
        bounds=Options(),
        facts=dict,
        figures=lambda: RunFigures({}, {}, {}),
        check_changes=lambda changes: changes,
    )
    session, assembler = Session(owner, lambda: None), Assembler(HELLO_MAX)
    for kind, elements in assembler.feed(pack(Kind.HELLO, PROTOCOL, "fuzz") + data):
        session.take(kind, elements)
        session.frames()


def owner(data: bytes) -> None:
    """What an owner sends to a peer, welcome or not."""
    exchange = Exchange(
        "fuzz", 1.0, PendingRequests(lambda _target, _request: None), lambda _: None, lambda: NoAnswer("nothing listens", "")
    )
    with contextlib.suppress(ConnectionResetError, ValueError, TypeError, KeyError):  # which end the connection
        for kind, elements in Assembler().feed(data):
            exchange.take(kind, elements, 0.0)


def crossing(data: bytes) -> None:
    OBJECTS.object(data)


TARGETS = (events, snapshot, snapshot_in_file, frame, compressed, folder, peer, owner, crossing)
REFUSALS = (StoreCorrupt, StoreUnavailable, NotRunning, fr.BadFrame, BadFrame, BadObject, Ended)


def one(data: bytes) -> None:
    """Let the reader that the first byte selects read the others."""
    if len(data) > 1:
        with contextlib.suppress(*REFUSALS):
            TARGETS[data[0] % len(TARGETS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
