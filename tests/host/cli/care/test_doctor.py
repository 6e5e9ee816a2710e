"""`perdure doctor`: each thing that can be amiss is told with what to do, and ends with status 1; a healthy folder with 0."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from perdure.store.files.listing import folder_conditions
from perdure.store.files.listing.folder_conditions import file_system_of, judged_space
from perdure.store.postgres.connecting.server_conditions import judged_settings
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def used(folder: Path) -> Path:
    with perdure.System(folder) as system:
        system.publish({"number": 1})
    return folder


def examined(folder: object, code: int) -> dict[str, dict[str, Any]]:
    """Return what is amiss, by what was looked at."""
    result = CliRunner().invoke(app, ["doctor", str(folder), "--json"])
    assert result.exit_code == code, (result.output, result.exception)
    found = json.loads(result.output)
    assert all(bool(one["advice"]) == (one["level"] != "ok") for one in found), found
    return {one["check"]: one for one in found if one["level"] != "ok"}


def test_a_healthy_folder_has_no_problem(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_conditions, "MOUNTS", used / "none")
    monkeypatch.setattr(folder_conditions, "ROOM_BYTES", 0)
    assert all(one["level"] == "note" for one in examined(used, 0).values())
    shown = CliRunner().invoke(app, ["doctor", str(used)])
    assert "0 problem(s)" in shown.output


def test_what_is_left_lying_is_told(used: Path) -> None:
    (used / "history.hold").touch()
    os.utime(used / "history.hold", (0, 0))
    (used / "snapshot-00000000000000000009.void").touch()
    (used / "owner.sock").touch()
    (used / "spool-1.spool.damaged").touch()
    found = examined(used, 1)
    assert found["spool"]["level"] == "problem"
    assert {"history", "leftovers", "socket"} <= found.keys()


def test_a_folder_that_others_can_write_is_a_problem(used: Path) -> None:
    used.chmod(0o777)
    assert "can be written by anybody" in examined(used, 1)["other users"]["text"]


def test_a_clock_behind_the_log_is_a_problem(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past = time.time() - 3600
    monkeypatch.setattr("perdure.operations.doctor.time.time", lambda: past)
    assert "in the future" in examined(used, 1)["clock"]["text"]


def test_settings_that_no_start_takes_are_a_problem(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_BACKLOG_MAX", "many")
    assert "PERDURE_BACKLOG_MAX" in examined(used, 1)["settings"]["text"]


def test_settings_that_do_not_fit_are_told(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_RESIDENT_PAYLOAD_BYTES", f"{1 << 50}")
    assert "this machine has" in examined(used, examined_code(used))["settings"]["text"]


def examined_code(folder: Path) -> int:
    return CliRunner().invoke(app, ["doctor", str(folder), "--json"]).exit_code


def test_a_folder_without_a_log_or_no_folder_is_a_problem(tmp_path: Path) -> None:
    assert "log" in examined(tmp_path / "none", 1)


def test_a_backup_is_named_as_one(used: Path, tmp_path: Path) -> None:
    perdure.backup(used, tmp_path / "backup")
    assert examined(tmp_path / "backup", examined_code(tmp_path / "backup"))["kind"]["text"] == "this is a backup"


@pytest.mark.parametrize(
    ("free", "total", "inodes", "level"),
    [
        (1 << 20, 1 << 40, None, "problem"),
        (1 << 30, 1 << 40, None, "note"),
        (1 << 39, 1 << 40, 10, "problem"),
        (1 << 39, 1 << 40, 10_000, "ok"),
    ],
)
def test_room(free: int, total: int, inodes: int | None, level: str) -> None:
    assert judged_space(free, total, inodes).level == level


MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:30 / /mnt rw shared:1 - tmpfs tmpfs rw
24 23 0:31 / /mnt/far\\040away rw - nfs4 server:/x rw
"""


@pytest.mark.parametrize(("folder", "kind"), [("/var/q", "ext4"), ("/mnt/q", "tmpfs"), ("/mnt/far away/q", "nfs4")])
def test_the_kind_of_a_file_system(folder: str, kind: str) -> None:
    from pathlib import Path

    assert file_system_of(Path(folder), MOUNTS) == kind


@pytest.mark.parametrize(
    ("settings", "standbys", "synchronous", "amiss"),
    [
        ({"server_version_num": "160001"}, 1, 1, set()),
        ({"server_version_num": "120001"}, 1, 1, {"server"}),
        ({"server_version_num": "160001", "fsync": "off", "full_page_writes": "off"}, 1, 1, {"fsync", "full_page_writes"}),
        ({"server_version_num": "160001", "synchronous_commit": "off"}, 1, 1, {"synchronous_commit"}),
        ({"server_version_num": "160001", "synchronous_standby_names": "a"}, 0, 0, {"standbys"}),
        ({"server_version_num": "160001"}, 0, 0, {"standbys"}),
        ({"server_version_num": "160001"}, 2, 0, {"standbys"}),
    ],
)
def test_settings_of_a_server(settings: dict[str, str], standbys: int, synchronous: int, amiss: set[str]) -> None:
    found = judged_settings(settings, standbys=standbys, synchronous=synchronous)
    assert {one.check for one in found if one.level != "ok"} == amiss


@pytest.mark.xdist_group("postgres")
def test_a_database_is_examined_too() -> None:
    store = perdure.PostgresStore(shared_server().dsn, name=new_queue())
    with perdure.System(store=store) as system:
        system.publish({"number": 1})
        result = CliRunner().invoke(app, ["doctor", store.address, "--json"])
    found = {one["check"] for one in json.loads(result.output)}
    assert {"server", "synchronous_commit", "standbys", "connections", "clock"} <= found


def test_room_of_a_small_disk_is_told_in_a_unit_that_shows_it() -> None:
    assert judged_space(300 << 10, 3 << 20, None).text == "0.3 MiB of 3.0 MiB are free"
    assert judged_space(5 << 30, 9 << 30, None).text == "5.0 GiB of 9.0 GiB are free"
