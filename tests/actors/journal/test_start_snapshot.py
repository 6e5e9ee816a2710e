"""The snapshot that a start makes of what it has folded: owners may die sooner than a snapshotter takes to fold the same again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.actors.journal.log_state import LogState
from perdure.store import SegmentStore
from tests.host.processes.clients.test_faults import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Job:
    number: int


def left_behind(tmp_path: Path, waiting: int) -> Path:
    """Return a folder whose owner died after 200 handled messages, with so many that wait, and without a snapshot."""
    folder = tmp_path / "alive"
    system = perdure.System(folder)
    seen: list[int] = []
    system.handler(Job)(lambda job: seen.append(job.number))
    dead = tmp_path / "dead"
    with system:
        system.publish_many([Job(n) for n in range(200)])
        system.drain(30)
        if waiting:
            system.publish_many([Job(n) for n in range(waiting)], ids=[f"waits-{n}" for n in range(waiting)], delay=1000)
        shutil.copytree(folder, dead, ignore=shutil.ignore_patterns("*.sock"))
    assert not SegmentStore(dead).snapshot_seqs()
    return dead


@pytest.mark.parametrize("waiting", [0, 40])
def test_a_start_that_has_folded_much_saves_that_with_its_first_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    dead = left_behind(tmp_path, waiting)
    options = perdure.Options(snapshot_events=100)

    def never_ends(*_: object) -> None:
        msg = "the snapshotter folds the log again: this owner is dead before that ends"
        raise perdure.StoreUnavailable(msg)

    monkeypatch.setattr(LogState, "fold", never_ends)
    cut = tmp_path / "cut"
    with perdure.System(dead, options=options) as system:
        assert system.recovery is not None
        assert system.recovery.snapshot_seq == 0
        folded = system.recovery.last_seq
        system.publish(Job(0), id="first")
        wait_until(lambda: SegmentStore(dead).snapshot_seqs() == [folded])
        shutil.copytree(dead, cut)
    monkeypatch.undo()
    with perdure.System(cut, options=options) as system:
        assert system.recovery is not None
        assert system.recovery.snapshot_seq == folded
        assert system.state("first").status == "ready"
        assert [system.state(f"waits-{n}").status for n in range(waiting)] == ["delayed"] * waiting
        metrics = system.admin.metrics()
        assert (metrics.published, metrics.completed) == (201 + waiting, 200)
    assert perdure.Audit(cut).verify().ok


def test_a_start_that_has_folded_little_saves_nothing(tmp_path: Path) -> None:
    dead = left_behind(tmp_path, 0)
    with perdure.System(dead, options=perdure.Options(snapshot_events=100_000)) as system:
        system.publish(Job(0))
        assert system.runtime.log.start_snapshot is None
        assert not SegmentStore(dead).snapshot_seqs()
