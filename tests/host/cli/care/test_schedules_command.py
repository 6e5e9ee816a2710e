"""`perdure schedules`: what ticks when, the last tick and the next; and `perdure config --json`."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import attrs
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


@perdure.message(name="Report")
@attrs.frozen
class Report:
    of: str


def run(*words: object) -> Any:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.output)


def test_schedules_are_listed_with_their_last_and_next_ticks(folder: Path, until: Callable[[Callable[[], object]], None]) -> None:
    system = perdure.System(folder)
    system.every(0.05, message=Report("shop"), name="report")

    @system.every("0 3 * * *", zone="Europe/Berlin", name="nightly")
    def nightly(tick: perdure.Tick, ctx: perdure.Context) -> None:
        pass

    @system.every(3600.0, name="hourly")
    def hourly(tick: perdure.Tick, ctx: perdure.Context) -> None:
        pass

    with system:
        system.admin.pause("every:hourly")
        until(lambda: system.admin.metrics().ready >= 3)
    found = {one["name"]: one for one in run("schedules", folder)}
    assert found.keys() == {"report", "nightly", "hourly"}
    assert (found["nightly"]["every"], found["nightly"]["zone"]) == ("0 3 * * *", "Europe/Berlin")
    upcoming = dt.datetime.fromisoformat(found["nightly"]["next"])
    assert upcoming > dt.datetime.now(dt.UTC)
    assert upcoming.minute == 0
    assert found["hourly"]["paused"]
    assert dt.datetime.fromisoformat(found["hourly"]["next"]).minute == 0
    assert found["report"]["is_estimate"]
    assert found["report"]["last"]
    shown = CliRunner().invoke(app, ["schedules", str(folder)]).output
    assert "nightly" in shown
    assert "Europe/Berlin" in shown


def test_a_folder_without_schedules_says_so(folder: Path) -> None:
    with perdure.System(folder):
        pass
    assert run("schedules", folder) == []
    assert "no schedule" in CliRunner().invoke(app, ["schedules", str(folder)]).output


def test_configuration_as_json_names_the_source_of_each_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "perdure.toml").write_text('[perdure]\nretries = 7\n[handlers."Report"]\ntimeout_s = 3\n')
    monkeypatch.setenv("PERDURE_CONFIG", str(tmp_path / "perdure.toml"))
    monkeypatch.setenv("PERDURE_BACKLOG_MAX", "5000")
    found = run("config")
    assert found["file"] == str(tmp_path / "perdure.toml")
    assert found["options"]["retries"]["value"] == 7
    assert "table [perdure]" in found["options"]["retries"]["from"]
    assert found["options"]["backlog_max"] == {"value": 5000, "from": "environment variable PERDURE_BACKLOG_MAX"}
    assert found["options"]["grace_s"]["from"] == "default"
    assert found["handlers"][0]["type"] == "Report"
