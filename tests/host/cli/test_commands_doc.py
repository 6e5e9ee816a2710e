"""docs/COMMANDS.md: its exit codes are those of the code, and every command line in it can be parsed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

import perdure
from perdure.cli import main as cli
from perdure.cli.exit_codes import EXIT_CODES, code_of
from perdure.cli.operated_folder import BadChoice

DOC = (Path(__file__).parents[3] / "docs" / "COMMANDS.md").read_text(encoding="utf-8")
LINES = re.findall(r"^perdure .*$", DOC, re.MULTILINE)


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", DOC, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


@pytest.mark.parametrize("line", LINES)
def test_each_command_line_can_be_parsed(line: str) -> None:
    group: Any = typer.main.get_command(cli.app)
    _, *words = shlex.split(line)
    while hasattr(group, "commands"):
        group, words = group.commands[words[0]], words[1:]
    group.make_context(group.name, words, resilient_parsing=False).close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (perdure.NotAllowed("no"), 4),
        (perdure.NotRunning("no"), 3),
        (perdure.StoreLocked("no"), 3),
        (perdure.UnknownMessage("no"), 5),
        (BadChoice("no"), 2),
        (perdure.InvalidMessage("no"), 2),
        (perdure.PayloadTooLarge("no"), 1),
        (perdure.StoreUnavailable("no"), 1),
        (OSError("no"), 1),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert code_of(error) == code
