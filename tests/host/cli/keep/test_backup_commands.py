"""`perdure backup` and `perdure restore`: what they print, what they refuse, and their exit statuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path


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


def test_publishes_that_wait_in_a_spool_are_told(system: perdure.System, folder: Path, tmp_path: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        client.publish({"number": 4})
    assert "1 publishes wait in spool files" in run("backup", folder, tmp_path / "backup")
    with system:
        pass
    assert "spool" not in run("backup", folder, tmp_path / "backup")
