"""The commands of chaos/ on the command line: their output, what they refuse, and their exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from perdure.chaos.cli import commands
from perdure.chaos.cli.commands import app, soak
from perdure.chaos.soak import view as soak_view
from perdure.chaos.soak.readings import growth_of
from perdure.chaos.soak.soak import Soak

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ["--hours", "0.0006", "--interval", "0.15"]

alone = typer.Typer()
alone.command()(soak)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "console", Console(width=80))


@pytest.mark.long
def test_soak_shows_readings_a_summary_and_a_plot(tmp_path: Path) -> None:
    plot, table = tmp_path / "run.svg", tmp_path / "run.csv"
    done = CliRunner().invoke(alone, [*SHORT, "--plot", str(plot), "--table", str(table), "--folder", str(tmp_path / "kept")])
    assert done.exit_code == 0, done.output
    assert "memory, MiB" in done.output
    assert "the counts add up" in done.output
    assert plot.read_text(encoding="utf-8").lstrip().startswith("<?xml")
    assert len(table.read_text(encoding="utf-8").splitlines()) > 8
    assert list((tmp_path / "kept" / "data").glob("log-*.seg"))


@pytest.mark.long(seconds=3)
def test_failed_soak_has_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "perdure.chaos.soak.soak.growth_of", lambda readings, name: f"{name} grew in a test" if name == "files" else None
    )
    done = CliRunner().invoke(alone, SHORT)
    assert done.exit_code == 1
    assert "files grew in a test" in done.output
    assert "nothing grew" not in done.output
    assert growth_of([], "files") is None


def test_interrupted_soak_is_still_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def interrupt(_: object, at_s: float) -> None:
        calls.append(at_s)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(soak_view.SoakView, "each_second", interrupt)
    done = CliRunner().invoke(alone, ["--hours", "1", "--interval", "0.2"])
    assert done.exit_code == 130
    assert "interrupted" in done.output
    assert "published" in done.output


def test_soak_refuses_at_once_options_that_would_fail_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    monkeypatch.setattr(Soak, "run", lambda _soak: pytest.fail("it ran"))
    refused = [
        (["--folder", str(tmp_path / "full")], "not an empty folder"),
        (["--plot", str(tmp_path / "plot.txt")], "ends in .png"),
        (["--plot", str(tmp_path / "absent" / "plot.png")], "its folder does not exist"),
    ]
    for args, error in refused:
        done = CliRunner().invoke(alone, args)
        assert done.exit_code == 2
        assert error in " ".join(done.output.replace("│", " ").split())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = CliRunner().invoke(alone, ["--plot", str(tmp_path / "plot.png")])
    assert (done.exit_code, "needs matplotlib" in done.output) == (2, True)


@pytest.mark.long
def test_simulate_and_crash_states_print_their_totals() -> None:
    done = CliRunner().invoke(app, ["simulate", "--seeds", "2"])
    assert (done.exit_code, "turns a second" in done.output) == (0, True), done.output
    done = CliRunner().invoke(app, ["crash-states", "--seeds", "1"])
    assert (done.exit_code, "with snapshots" in done.output) == (0, True), done.output


@pytest.mark.long(seconds=6)
def test_commands_of_chaos_need_no_development_packages(tmp_path: Path) -> None:
    blocked = (
        "import sys; sys.modules.update(dict.fromkeys(['pytest', 'hypothesis', 'matplotlib', 'sqlalchemy', 'cronsim', 'svcs'])); "
    )
    code = """
from perdure.cli.main import main
for words in ("--help", "soak --help", "chaos simulate --seeds 1"):
    sys.argv = ["perdure", *words.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
print("all of them ran")
"""
    done = subprocess.run(
        [sys.executable, "-c", blocked + code],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.endswith("all of them ran\n")) == (0, True), done.stderr
