"""The spool as a source of the relay: a file is there for as long as one of its publishes may not be on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.actors.core.health import Health
from perdure.actors.sessions.crossing import OBJECTS
from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.events.commands import Draft, Publish
from perdure.runtime.spool_source import SpoolSource
from perdure.store.spool.spool_file import SpoolWriter, names

FOLDER = Path("/data")


@pytest.fixture
def disk() -> MemoryDisk:
    disk = MemoryDisk()
    writer = SpoolWriter(FOLDER, disk, now_us=lambda: 1, salt=lambda: bytes(8))
    writer.write([OBJECTS.packed(Publish([Draft(ident, "t", b"")])) for ident in "abc"])
    writer.close()
    return disk


def test_a_file_is_removed_once_all_of_it_is_on_record(disk: MemoryDisk) -> None:
    source = SpoolSource(FOLDER, disk, lambda draft: draft, Health())
    rows = [row for row, _ in source.read(0)]
    assert len(rows) == 3
    source.delete(rows[:2])
    assert len(names(disk, FOLDER)) == 1, "the third one may be lost with this process"
    source.delete(rows[2:])
    assert names(disk, FOLDER) == []


def test_what_another_owner_has_not_put_on_record_is_read_again(disk: MemoryDisk) -> None:
    source = SpoolSource(FOLDER, disk, lambda draft: draft, Health())
    source.delete([row for row, _ in source.read(0)][:2])
    source.close()
    assert len(SpoolSource(FOLDER, disk, lambda draft: draft, Health()).read(0)) == 3
