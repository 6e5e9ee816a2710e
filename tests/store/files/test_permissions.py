"""Folders are created for their owner alone, whatever the umask; one that others could change causes a warning."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.store import SegmentStore
from perdure.store.disk.permissions import open_to_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each of the usual umasks, and the most open one."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_created_folders_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "data"
    options = perdure.Options(
        segment_bytes=4096, snapshot_events=20, history="archive", history_folder=tmp_path / "c" / "d" / "old"
    )
    with perdure.System(folder, options=options) as system:
        for n in range(40):
            system.publish(f"{n}" * 500)
            delivery = system.checkout(str)
            assert delivery is not None
            delivery.ack()
        for _ in range(3):
            system.admin.snapshot()
    made = [path for top in ("a", "c") for path in (tmp_path / top, *(tmp_path / top).rglob("*"))]
    assert len(made) > 8
    for path in made:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(("which", "bits"), [("own", 0o777), ("own", 0o770), ("own", 0o1777), ("above", 0o777), ("above", 0o775)])
def test_a_folder_that_others_can_change_causes_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, which: str, bits: int
) -> None:
    folder = tmp_path / "above" / "data"
    folder.mkdir(parents=True, mode=0o700)
    (folder if which == "own" else folder.parent).chmod(bits)
    SegmentStore(folder).open()
    assert "is open to others" in caplog.text
    assert f"{bits:04o}" in caplog.text
    (folder if which == "own" else folder.parent).chmod(0o700)


def test_a_private_folder_and_one_in_a_sticky_folder_cause_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a sticky folder such as /tmp, users can neither rename nor remove the entries of others."""
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o1777)
    SegmentStore(above / "data").open()
    assert caplog.text == ""
    assert open_to_others(above / "data") is None
