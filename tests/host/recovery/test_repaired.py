"""What repair saves of a damaged folder and what it reports as lost: it uses each whole snapshot, wherever the log ends.

Random damages are in `tests/chaos/damage/test_repair`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store import FolderReader, open_reader, open_target, repair, verify
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Job:
    """A message."""

    number: int


def frames_of(path: Path) -> list[tuple[int, int, int, int]]:
    """Return offset, end, first sequence number and count of each frame."""
    data = path.read_bytes()
    found, at = [], sg.HEADER_BYTES
    while at < len(data):
        header = fr.parse(data[at : at + fr.HEADER_BYTES])
        end = at + fr.HEADER_BYTES + header.stored_len
        found.append((at, end, header.first_seq, header.count))
        at = end
    return found


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """One segment of a stopped system with fifty delayed messages and a snapshot of all of them."""
    folder = tmp_path / "data"
    with perdure.System(folder) as system:
        for n in range(50):
            system.publish(Job(n), delay=3600)
    assert len(list(folder.glob("*.seg"))) == len(list(folder.glob("*.snap"))) == 1
    return folder


@pytest.mark.parametrize("which", [0, 1, 20, -2, -1, None])
def test_one_bit_of_the_only_segment(stopped: Path, tmp_path: Path, which: int | None) -> None:
    """Damage in any frame, in the seal, or in the segment's header loses no message."""
    (path,) = stopped.glob("*.seg")
    frames = frames_of(path)
    flip(path, 30 if which is None else frames[which][1] - 1)
    new = tmp_path / "new"
    report = repair(open_reader(stopped), open_target(new))
    assert report.findings
    assert (report.messages_lost, report.events_lost, report.snapshots_kept) == (0, 0, 1)
    last_seq = frames[-1][2] - 1
    assert report.last_seq == last_seq
    broken = 0 if which is None else frames[which][3]
    assert report.events_kept + report.events_left_behind + report.events_unreadable == last_seq
    assert report.events_unreadable == broken
    assert report.bytes_unreadable > 0
    with perdure.System(new) as system:
        assert system.admin.metrics().delayed == 50
        system.publish(Job(50))
        assert system.audit.verify().ok


def test_without_the_snapshot_the_loss_is_reported_in_events_messages_and_bytes(stopped: Path, tmp_path: Path) -> None:
    (path,) = stopped.glob("*.seg")
    frames = frames_of(path)
    ids = [record.message_id for record in perdure.Audit(stopped).events(type="Published")]
    next(stopped.glob("*.snap")).unlink()
    offset, end, seq, count = frames[25]
    flip(path, end - 1)
    report = repair(open_reader(stopped), open_target(tmp_path / "new"))
    assert (report.first_seq, report.last_seq, report.events_unreadable) == (1, seq - 1, count)
    assert report.bytes_unreadable == end - offset
    assert report.events_left_behind == sum(frame[3] for frame in frames[26:])
    assert report.events_lost == report.events_left_behind + count
    assert report.bytes_left_behind == frames[-1][1] - end
    with perdure.System(tmp_path / "new") as system:
        kept = system.admin.metrics().delayed
    assert kept + report.messages_lost in (49, 50), "the damaged frame is a publication, or none"
    assert report.lost_ids == ids[50 - report.messages_lost :]


def test_two_snapshots_and_damage_between_them(tmp_path: Path) -> None:
    """The newer snapshot is the base; undamaged events behind the damage stay as history."""
    folder = tmp_path / "data"
    with perdure.System(folder) as system:
        for n in range(60):
            system.publish(Job(n))
            if n in (20, 40):
                system.admin.snapshot()
    (path,) = folder.glob("*.seg")
    newer = FolderReader(folder).snapshot_seqs()[-1]
    for snapshot in folder.glob(f"*{newer}.snap"):
        snapshot.unlink()
    base = FolderReader(folder).snapshot_seqs()[-1]
    frames = frames_of(path)
    before = max(i for i, frame in enumerate(frames) if frame[2] <= base - 4)
    flip(path, frames[before][1] - 1)
    report = repair(open_reader(folder), open_target(tmp_path / "new"))
    assert report.first_seq == frames[before + 1][2] <= base
    assert report.last_seq == frames[-1][2] - 1
    with perdure.System(tmp_path / "new") as system:
        assert system.admin.metrics().ready == 60


def test_damage_in_each_frame_is_listed(stopped: Path) -> None:
    """All findings of a segment are listed, not only the first."""
    (path,) = stopped.glob("*.seg")
    frames = frames_of(path)
    harmed = frames[3:40:6]
    for frame in harmed:
        flip(path, frame[1] - 1)
    findings = verify(open_reader(stopped)).findings
    assert [finding.offset for finding in findings] == [frame[0] for frame in harmed]
    assert [finding.seq for finding in findings] == [frame[2] for frame in harmed]
    for finding, frame in zip(findings, harmed, strict=True):
        assert f"sequences {frame[2]} to {frame[2] + frame[3] - 1} are lost" in finding.problem


def test_damage_behind_a_damaged_header_is_listed_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with perdure.System(folder, options=perdure.Options(segment_bytes=4096)) as system:
        for n in range(100):
            system.publish(Job(n))
    path = sorted(folder.glob("*.seg"))[1]
    frames = frames_of(path)
    flip(path, 20)
    flip(path, frames[5][1] - 1)
    findings = verify(open_reader(folder)).findings
    assert [(finding.file, finding.offset) for finding in findings] == [(path.name, 0), (path.name, frames[5][0])]
