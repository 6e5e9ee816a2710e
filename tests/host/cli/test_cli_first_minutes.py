"""The command line for a new user: its version, wrong folders, applications that fail, long work, interrupts."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import typer
from rich.console import Console

from perdure.cli import interrupts as cli_interrupts
from perdure.cli import progress as cli_progress

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Commands


def test_version_is_printed(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "perdure", "--version"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, f"perdure {version('perdure')}")


@pytest.mark.long(seconds=5)
def test_command_does_not_wait_for_the_import_of_commands_of_other_rooms() -> None:
    code = (
        "import atexit, sys; from perdure.cli import main as cli; sys.argv = ['perdure', *sys.argv[1:]];"
        "atexit.register(lambda: print([name for name in sys.modules if name.startswith('perdure.chaos')])); cli.main()"
    )
    for word, imported in (("stats", False), ("soak", True)):
        done = subprocess.run([sys.executable, "-c", code, word, "--help"], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.endswith("[]\n") is not imported, done.stdout


@pytest.mark.parametrize(
    "args", [("stats",), ("verify",), ("timeline", "some-id"), ("dead-letters", "list"), ("dead-letters", "show", "some-id")]
)
def test_folder_without_a_log_is_an_error_not_an_empty_answer(tmp_path: Path, command: Commands, args: tuple[str, ...]) -> None:
    (tmp_path / "letters.txt").write_text("not a log")
    *words, last = args
    line = (*args, str(tmp_path)) if not words or last == "list" else (*words, str(tmp_path), last)
    done = command(*line, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "holds no log" in done.stderr
    assert "name the folder that a System was given" in done.stderr


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import absent_library\n", "ModuleNotFoundError: No module named 'absent_library'"),
        ("def broken(:\n", "SyntaxError"),
        ("import perdure\nsystem = perdure.System('data', options=perdure.Options(segment_bytes=-1))\n", "segment_bytes"),
        ("raise KeyError('database url')\n", "KeyError: 'database url'"),
    ],
)
def test_host_that_cannot_be_imported_is_one_line_with_its_place(
    tmp_path: Path, command: Commands, source: str, expected: str
) -> None:
    (tmp_path / "shop.py").write_text(source)
    done = command("run", "shop:system", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert expected in done.stderr
    assert "'shop' cannot be imported" in done.stderr
    assert ", line " in done.stderr
    assert "shows the whole traceback" in done.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.long(seconds=7))]
)
def test_simulation_that_is_stopped_early_shows_what_it_has_done(tmp_path: Path, number: signal.Signals, status: int) -> None:
    code = (
        "import sys; from perdure.cli import main as cli, progress; from perdure.chaos.scenarios import campaign; "
        "progress.LINE_EVERY_S = 0.0; campaign.PART = 1; "
        "sys.argv = ['perdure', 'chaos', 'simulate', '--seeds', '1000000', '--processes', '1']; cli.main()"
    )
    with subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        assert run.stdout is not None
        assert "simulated scenarios: " in run.stdout.readline()
        run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
    assert run.returncode == status
    assert "interrupted: simulated scenarios: " in rest
    assert "turns a second" in rest


def test_progress_is_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_progress, "LINE_EVERY_S", 0.0)
    out = io.StringIO()
    with cli_progress.shown_progress(Console(file=out), "checking", 2000, unit="bytes") as step:
        step(1000)
        step(1500, 3000)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("checking: 1,000 of 2,000 bytes in ")
    assert lines[1].startswith("checking: 1,500 of 3,000 bytes in ")


def test_progress_is_silent_while_the_work_is_short() -> None:
    out = io.StringIO()
    with cli_progress.shown_progress(Console(file=out), "checking") as step:
        step(1)
    assert out.getvalue() == ""


def test_progress_on_a_terminal_is_a_bar_that_leaves_nothing_behind() -> None:
    out = io.StringIO()
    with cli_progress.shown_progress(Console(file=out, force_terminal=True, width=80), "checking", 10) as step:
        step(10)
    assert "checking" in out.getvalue()
    assert out.getvalue().endswith("\x1b[2K"), "the last output to a terminal clears the line"


def test_interrupt_prints_the_progress_and_calls_so_far() -> None:
    out, more = io.StringIO(), []
    with (  # noqa: PT012 - the block is the work that is interrupted
        pytest.raises(typer.Exit) as caught,
        cli_progress.shown_progress(Console(file=out), "checking", 10, so_far=lambda: more.append("table")) as step,
    ):
        step(4)
        raise cli_interrupts.Terminated
    assert caught.value.exit_code == 143
    assert out.getvalue().startswith("interrupted: checking: 4 of 10 in ")
    assert more == ["table"]


MADE = "import perdure\nsystem = perdure.System(store=perdure.MemoryStore())\n"


@pytest.mark.parametrize(
    ("target", "source", "expected"),
    [
        ("shop:other", MADE, "shop has no 'other', so shop:other is not a perdure.System or Cluster; shop holds shop:system"),
        ("shop:system.other", MADE, "shop:system has no 'other'"),
        ("shop:other", "", "shop holds none"),
        ("shop:system", "def system():\n    return None\n", "shop:system is a function, not a perdure.System or Cluster"),
        ("shop:lazy", "def __getattr__(name):\n    return 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("shop:system", MADE + "@system.on_start\ndef hook():\n    raise ValueError('no [/db]')\n", "ValueError: no [/db]"),
        ("./shop:system", MADE, "'./shop:system' is not a target; write module:attribute"),
        ("shop.py:system", MADE, "no module 'shop.py' was found"),
    ],
)
def test_target_that_does_not_run_is_one_line(tmp_path: Path, command: Commands, target: str, source: str, expected: str) -> None:
    (tmp_path / "shop.py").write_text(source)
    done = command("run", target, cwd=tmp_path)
    assert done.returncode == (2 if "is not a target" in expected else 1)
    assert "Traceback" not in done.stderr
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
