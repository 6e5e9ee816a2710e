"""What was published into a spool is in each backup, as a spool file or in the log, wherever a run is cut off."""

from __future__ import annotations

import errno
import io
import random
from typing import TYPE_CHECKING, BinaryIO

import pytest

from perdure.chaos.disk.crash_states import PowerCuts
from perdure.chaos.disk.memory_disk import Fault, MemoryDisk
from perdure.events.errors import StoreUnavailable
from perdure.store import BackupReader, FolderReader, MemoryStore, back_up, restore_log
from perdure.store.backup.folder import BackupFolder
from perdure.store.files.folder_copy import FolderCopy
from perdure.store.spool import spool_format as sf
from perdure.store.survey import SurveyedSpool

if TYPE_CHECKING:
    from collections.abc import Iterator

EARLY = sf.file_name(1, b"\x01" * 8)
LATE = sf.file_name(2, b"\x02" * 8)


def spooled(salt: bytes, items: int) -> bytes:
    header = sf.pack_header(salt * 8)
    return header + b"".join(sf.pack_record(header, number + 1, [b"publish"]) for number in range(items))


class Log(MemoryStore):
    """A log with spool files beside it; an owner takes one in by a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.open()
        self.spool: dict[str, bytes] = {}

    def write(self, frames: int) -> None:
        for _ in range(frames):
            self.append(b"frame", 1, expected_seq=self.last_seq + 1)
        self.sync()

    def take_in(self, name: str) -> None:
        self.write(1)
        del self.spool[name]

    def survey_spool(self) -> list[SurveyedSpool]:
        return [SurveyedSpool(name, len(sf.parse(data).items), len(data)) for name, data in self.spool.items()]

    def spool_files(self) -> Iterator[tuple[str, BinaryIO]]:
        for name, data in [*self.spool.items()]:
            yield name, io.BytesIO(data)


def to(disk: MemoryDisk) -> BackupFolder:
    return BackupFolder("/data", disk=disk, segment_bytes=700, now_us=lambda: 1)


def restored(disk: MemoryDisk) -> FolderReader:
    made = MemoryDisk()
    restore_log(BackupReader("/data", disk=disk), FolderCopy("/data", disk=made))
    return FolderReader("/data", disk=made)


def test_spool_files_are_copied_whole_grow_and_go_once_the_log_has_them() -> None:
    log, disk = Log(), MemoryDisk()
    log.write(2)
    log.spool[EARLY] = spooled(b"\x01", 2)
    assert back_up(log, to(disk)).spooled == 2
    log.spool |= {EARLY: spooled(b"\x01", 5), LATE: spooled(b"\x02", 1) + b"half a record that is being wri"}
    assert back_up(log, to(disk)).spooled == 6
    assert [(one.file, one.items, one.problem) for one in restored(disk).survey_spool()] == [(EARLY, 5, ""), (LATE, 1, "")]
    log.take_in(EARLY)
    assert back_up(log, to(disk)).spooled == 1
    assert [one.file for one in restored(disk).survey_spool()] == [LATE]


def test_what_is_taken_in_while_a_run_copies_is_not_lost_between_the_log_and_the_spool() -> None:
    log, disk = Log(), MemoryDisk()
    log.write(3)
    log.spool[EARLY] = spooled(b"\x01", 1)
    taken: list[int] = []

    def take_in(_seq: int) -> None:
        if not taken:
            taken.append(1)
            log.take_in(EARLY)

    back_up(log, to(disk), progress=take_in)
    found = restored(disk)
    assert found.survey_spool() or [*found.frames()][-1].last_seq == 4


def test_a_power_cut_at_any_operation_loses_no_spooled_publish() -> None:
    log, disk = Log(), MemoryDisk()
    cuts = PowerCuts(random.Random(7), samples=1)
    log.write(3)
    log.spool[EARLY] = spooled(b"\x01", 1)
    back_up(log, to(disk))
    log.take_in(EARLY)
    log.spool[LATE] = spooled(b"\x02", 1)

    def check(_name: str) -> None:
        for state in cuts.states(disk):
            found = restored(state)
            assert [*found.frames()][-1].last_seq == 4 or EARLY in [one.file for one in found.survey_spool()]
            back_up(log, to(state))
            found = restored(state)
            assert ([*found.frames()][-1].last_seq, [one.file for one in found.survey_spool()]) == (4, [LATE])

    disk.before_each = check
    back_up(log, to(disk))
    disk.before_each = lambda _name: None
    assert [one.file for one in restored(disk).survey_spool()] == [LATE]


def test_each_operation_failing_once_loses_no_spooled_publish() -> None:
    for at in range(1, 200):
        log, disk = Log(), MemoryDisk()
        log.write(3)
        log.spool[EARLY] = spooled(b"\x01", 1)
        back_up(log, to(disk))
        log.take_in(EARLY)
        log.spool[LATE] = spooled(b"\x02", 1)
        disk.faults = [Fault(at, errno.EIO, part=3)]
        try:
            back_up(log, to(disk))
        except StoreUnavailable:
            found = restored(disk)
            assert [*found.frames()][-1].last_seq == 4 or EARLY in [one.file for one in found.survey_spool()]
        if disk.faults:
            return
        back_up(log, to(disk))
        assert [one.file for one in restored(disk).survey_spool()] == [LATE]
    pytest.fail("the run never came to its end")
