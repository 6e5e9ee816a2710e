"""Check the import arrows between the rooms, and that the contracts in pyproject.toml notice a wrong one.

import-linter needs the rooms as one tree on disk. The unpacked wheel is such a tree.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # see test_wheel.py
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(wheel: Path, tmp_path: Path) -> Path:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def lint(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on an unpacked wheel, with the contracts of the checkout."""
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    command = [sys.executable, "-c", program, "--no-cache", "--config", str(CHECKOUT / "pyproject.toml"), *options]
    environment = os.environ | {"PYTHONPATH": str(tree), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.long
def test_import_arrows(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr


WRONG = (
    ("events", "perdure.store", "events"),
    ("events", "perdure.newcomer", "events"),
    ("store", "perdure.actors", "store"),
    ("store", "perdure.newcomer", "store"),
    ("actors", "perdure.newcomer", "actors"),
    ("events", "perdure", "front-door"),
    ("store", "perdure", "front-door"),
    ("actors", "perdure", "front-door"),
    ("actors", "perdure.chaos", "chaos"),
    ("", "perdure.chaos", "chaos"),
)
RIGHT = (("store", "events"), ("actors", "events"), ("actors", "store"), ("", "actors"), ("chaos", "newcomer"))


@pytest.mark.long
@pytest.mark.parametrize("contract", sorted({contract for _, _, contract in WRONG}))
def test_wrong_arrows_are_reported(tree: Path, contract: str) -> None:
    """A contract covers a module that host/ does not have yet (`perdure.newcomer`) without a line of its own."""
    (tree / "perdure" / "newcomer.py").write_text("", encoding="utf-8")
    intruders = []
    for number, (importer, imported, _) in enumerate(one for one in WRONG if one[2] == contract):
        intruders.append(f"intruder_{number}")
        (tree / "perdure" / importer / f"intruder_{number}.py").write_text(f"import {imported}\n", encoding="utf-8")
    result = lint(tree, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert [name for name in intruders if name not in result.stdout] == []


@pytest.mark.long
def test_right_arrows_are_accepted(tree: Path) -> None:
    (tree / "perdure" / "newcomer.py").write_text("", encoding="utf-8")
    for number, (importer, imported) in enumerate(RIGHT):
        (tree / "perdure" / importer / f"intruder_{number}.py").write_text(f"import perdure.{imported}\n", encoding="utf-8")
    # Contracts of layers inside a room are exhaustive: they want a line for each new module in its folder.
    result = lint(tree, *(f"--contract={room}" for room in ("events", "store", "actors", "front-door", "chaos")))
    assert "Contracts: 5 kept, 0 broken." in result.stdout, result.stdout + result.stderr
    assert "intruder" not in result.stdout, result.stdout
