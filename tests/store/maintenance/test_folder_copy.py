"""A copy of a log in a new folder: the frames keep their bytes, segments begin anew, and a full disk leaves a clear error.

What a repair copies of a damaged log is in `tests/chaos/damage/test_repair` and `tests/host/recovery/test_repaired`.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from perdure.events.errors import StoreUnavailable
from perdure.store import FolderReader, SegmentStore, Snapshot, open_reader, open_target, repair, verify
from perdure.store.disk.disk import Disk
from perdure.store.files.folder_copy import FolderCopy
from tests.programs import open_descriptors

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.survey import Stretch


@pytest.fixture
def source(tmp_path: Path) -> FolderReader:
    """A closed log of twenty events in several segments, with a snapshot."""
    store = SegmentStore(tmp_path / "source", segment_bytes=500)
    store.open()
    for n in range(20):
        store.append(b"%d" % n * 60, 1, expected_seq=n + 1)
        store.sync()
    store.save_snapshot(Snapshot(15, b"state" * 100))
    store.close()
    return FolderReader(tmp_path / "source")


@pytest.mark.parametrize("segment_bytes", [1, 400, 64 << 20])
def test_segments_begin_anew_and_the_chain_goes_on(source: FolderReader, tmp_path: Path, segment_bytes: int) -> None:
    report = repair(source, FolderCopy(tmp_path / "copy", segment_bytes=segment_bytes))
    assert (report.findings, report.lost, report.events_kept, report.snapshots_kept) == ([], [], 20, 1)
    copy = FolderReader(tmp_path / "copy")
    assert list(copy.frames()) == list(source.frames())
    assert [snapshot.body for snapshot in copy.snapshots()] == [snapshot.body for snapshot in source.snapshots()]
    assert (len(copy.segments()) > 1) == (segment_bytes < 500)
    assert verify(copy, head=verify(source).head).ok
    assert copy.store_id() == source.store_id()


def test_the_copy_goes_on_as_any_log(source: FolderReader, tmp_path: Path) -> None:
    repair(source, open_target(tmp_path / "copy"))
    store = SegmentStore(tmp_path / "copy")
    recovered = store.open()
    assert (recovered.last_seq, recovered.clean, recovered.cut_bytes) == (20, True, 0)
    store.append(b"next", 1, expected_seq=21)
    store.close()
    assert verify(open_reader(tmp_path / "copy")).ok


def test_an_empty_log_gives_an_empty_copy(tmp_path: Path) -> None:
    SegmentStore(tmp_path / "empty").open()
    report = repair(open_reader(tmp_path / "empty"), open_target(tmp_path / "copy"))
    assert (report.findings, report.events_kept, report.first_seq, report.last_seq) == ([], 0, 1, 0)
    assert list(open_reader(tmp_path / "copy").frames()) == []


@pytest.mark.parametrize("there", ["a file", "a folder with a file"])
def test_a_place_that_is_taken_is_refused(source: FolderReader, tmp_path: Path, there: str) -> None:
    if there == "a file":
        (tmp_path / "taken").write_bytes(b"")
    else:
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="not an empty folder"):
        repair(source, open_target(tmp_path / "taken"))


def test_a_full_disk_is_an_error_that_says_what_to_do(source: FolderReader, tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, fd: int, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    open_before = open_descriptors()
    with pytest.raises(StoreUnavailable, match=r"No space left.*Make room"):
        repair(source, FolderCopy(tmp_path / "copy", disk=Full()))
    assert open_descriptors() == open_before


def test_a_log_that_changes_while_it_is_repaired_gives_no_copy(source: FolderReader, tmp_path: Path) -> None:
    """The first reading decides what is kept; the second must find the same."""

    class Changing(FolderCopy):
        def begin(self, stretch: Stretch) -> None:
            super().begin(stretch)
            path = source.segment_path(source.segments()[-1])
            path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(StoreUnavailable, match="changed while it was read"):
        repair(source, Changing(tmp_path / "copy"))
