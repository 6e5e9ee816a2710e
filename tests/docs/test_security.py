"""Run each command of the deployment checklist in docs/SECURITY.md on a folder that perdure made, and compare its output."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import perdure
from tests import programs

PAGE = Path(__file__).parents[2] / "docs" / "SECURITY.md"
CHECKLIST = PAGE.read_text(encoding="utf-8").partition("## Deployment checklist")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| ([^|`]+) \| `([^`]+)`[^|]*\| ([^|]+) \|$", CHECKLIST, re.MULTILINE)
COMMANDS = {check: (command, expected) for check, command, expected in ROWS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with perdure.System(tmp_path / "data") as system:
        system.publish(1)
    return tmp_path / "data"


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page with the perdure of this interpreter."""
    words = shlex.split(command.replace("FOLDER", str(folder)))
    if words[0] == "perdure":
        return programs.run(["-m", *words], timeout=60)
    if words[0] == "python":
        return programs.run(words[1:], timeout=60)
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not on this machine")
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_each_line_of_the_checklist_has_a_command() -> None:
    assert len(COMMANDS) == CHECKLIST.count("\n| ") - 2, "a row has no command, or this test cannot read it"


OF_THE_FOLDER = [check for check, (command, _) in COMMANDS.items() if "FOLDER" in command]


@pytest.mark.parametrize("check", OF_THE_FOLDER)
def test_command_of_the_checklist_runs(folder: Path, check: str) -> None:
    command, expected = COMMANDS[check]
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    if expected.startswith("no line"):
        assert done.stdout == ""


def test_new_folder_is_private(folder: Path) -> None:
    assert run("stat -c '%a %U' FOLDER", folder).stdout.split()[0] == "700"
    (folder / "note").write_text("x")
    (folder / "note").chmod(0o644)
    assert run("find FOLDER -perm /077 -type f", folder).stdout.strip().endswith("note"), "the command finds an open file"
