"""`perdure backup` and `perdure restore`: what they print, what they refuse, and their exit statuses."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from perdure.store.spool.spool_format import RECORD
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


PATIENCE_S = 60.0


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, perdure.PerdureError):
        return f"refused: {result.exception}"
    assert result.exception is None, result.exception
    return " ".join(result.output.split())


@pytest.fixture
def system(folder: Path) -> perdure.System:
    made = perdure.System(folder)
    with made:
        for number in range(3):
            made.publish({"number": number}, id=f"m{number}")
    return made


@pytest.mark.usefixtures("system")
def test_a_backup_is_verified_restored_and_read_as_any_folder(folder: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    text = run("backup", folder, backup)
    assert "5 new events" in text
    head = text.rsplit("head ", 1)[1]
    assert "0 new events" in run("backup", folder, backup)
    assert "whole" in run("verify", backup, "--head", head)
    assert "Published" in run("timeline", backup, "m1")
    assert "3 later events are left out" in run("restore", backup, tmp_path / "restored", "--to", 2)
    assert json.loads(run("restore", backup, tmp_path / "whole", "--json"))["head"] == head
    assert "refused" in run("restore", backup, tmp_path / "whole")
    assert "refused" in run("timeline", tmp_path / "restored", "m2")


def wait_until(holds: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_publishes_that_wait_in_a_spool_are_in_a_backup_and_come_back(system: perdure.System, folder: Path, tmp_path: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        client.publish({"number": 4}, id="spooled")
    assert "1 publishes that wait in spool files" in run("backup", folder, tmp_path / "backup")
    assert "left out: 1 publishes" in run("restore", tmp_path / "backup", tmp_path / "earlier", "--to", 2)
    assert "1 spooled publishes wait" in run("restore", tmp_path / "backup", tmp_path / "new")
    with perdure.System(tmp_path / "new") as restored:
        wait_until(lambda: restored.state("spooled").known)
        assert restored.admin.metrics().published == 4
    with system:
        wait_until(lambda: system.state("spooled").known)
    assert "spool" not in run("backup", folder, tmp_path / "backup")
    assert not [*(tmp_path / "backup").glob("spool-*")], "the log of the backup has it now"


@pytest.mark.xdist_group("postgres")
def test_publishes_that_wait_in_a_spool_come_back_in_a_database_too(folder: Path, tmp_path: Path) -> None:
    with perdure.System(folder) as first:
        first.publish({"number": 1}, id="before")
    with perdure.connect(folder, spool=True) as client:
        for number in range(3):
            client.publish({"number": number}, id=f"spooled-{number}")
    run("backup", folder, tmp_path / "backup")
    name = new_queue().replace(" ", "_")
    told = run("restore", tmp_path / "backup", f"{shared_server().dsn}#{name}")
    assert "3 spooled publishes wait for its first owner" in told
    assert "left out" not in told
    with perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name)) as restored:
        wait_until(lambda: all(restored.state(f"spooled-{number}").known for number in range(3)))
        assert restored.admin.metrics().published == 4


@pytest.mark.xdist_group("postgres")
def test_damage_in_a_spool_file_of_a_backup_is_told_by_a_restore_into_a_database(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with perdure.System(folder) as first:
        first.publish({"number": 1}, id="before")
    with perdure.connect(folder, spool=True) as client:
        for number in range(3):
            client.publish({"number": number}, id=f"spooled-{number}")
    run("backup", folder, tmp_path / "backup")
    (file,) = (tmp_path / "backup").glob("spool-*")
    data = file.read_bytes()
    second = data.index(RECORD, data.index(RECORD) + 1)
    file.write_bytes(data[: second + 20] + b"\0" + data[second + 21 :])
    told = run("restore", tmp_path / "backup", f"{shared_server().dsn}#{new_queue().replace(' ', '_')}")
    assert "2 spooled publishes wait for its first owner" in told
    assert "left out: 1 damaged records of spool files" in told
    (error,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert file.name in error
    assert f"at byte {second}" in error


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("inside", ["backup", "a/b"])
def test_a_backup_in_its_own_data_folder_is_refused(folder: Path, inside: str) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    for source, target in ((folder, folder / inside), (link, folder / inside), (folder, link / inside)):
        assert "lies in the data folder" in run("backup", source, target)
    assert not (folder / inside).exists()
