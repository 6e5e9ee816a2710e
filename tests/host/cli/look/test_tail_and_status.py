"""`perdure tail` shows what its filters mean; `perdure status` tells what the owner knows, and how much room is on the disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator


PATIENCE_S = 60.0


@perdure.message(name="tail.Order")
@attrs.frozen
class Order:
    number: int


def run(*words: object) -> str:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"}, catch_exceptions=False).output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("tail") / "q"
    system = perdure.System(folder, shared=True)

    @system.handler(Order, retries=0)
    def handle(order: Order) -> None:
        if order.number == 2:
            msg = "no stock"
            raise LookupError(msg)

    with system:
        system.publish(Order(1), key="a", correlation_id="req-1")
        system.publish(Order(2), key="b", group="g", correlation_id="req-2")
        system.drain(timeout=60)
        yield folder


@pytest.mark.parametrize(
    ("words", "events"),
    [
        (["--key", "a"], ["Published", "Leased", "Completed"]),
        (["--group", "g"], ["Published", "Leased", "AttemptFailed", "DeadLettered"]),
        (["--correlation", "req-1"], ["Published", "Leased", "Completed"]),
        (["--error", "no stock"], ["AttemptFailed", "DeadLettered"]),
        (["--where", "payload.number>1", "--error", "lookup"], ["AttemptFailed", "DeadLettered"]),
        (["--where", "payload.number=1 event=Completed"], ["Completed"]),
        (["--key", "it's"], []),
    ],
)
def test_tail_shows_what_its_filters_mean(folder: Path, words: list[str], events: list[str]) -> None:
    rows = [json.loads(line) for line in run("tail", folder, "--json", *words).splitlines()]
    assert [row["event"] for row in rows] == events


def test_the_shell_completes_types_and_ids_of_dead_letters(folder: Path) -> None:
    def completed(line: str) -> list[str]:
        env = {"_PERDURE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line}
        output = CliRunner().invoke(app, [], env=env, prog_name="perdure").output
        return re.findall(r'"([^":]+)"', output)

    assert "tail.Order" in completed(f"perdure pause {folder} ta")
    (dead,) = [letter["id"] for letter in json.loads(run("dead-letters", "list", folder, "--json"))]
    assert dead in completed(f"perdure dead-letters show {folder} {dead[:4]}")
    assert "nothing.here" not in completed(f"perdure pause {folder}/absent no")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_and_types(folder: Path) -> None:
    script = """
        eval "$(_PERDURE_COMPLETE=source_bash perdure)"
        complete_with=$(complete -p perdure | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        COMP_WORDS=(perdure pause "$1" tail.); COMP_CWORD=3
        $complete_with perdure
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script, "bash", folder], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert "tail.Order" in done.stdout.split(), done.stderr


def test_status_tells_waits_runs_and_processes_where_an_owner_answers(folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S  # a look does not wait long for an owner on a busy machine
    while (looked := json.loads(run("status", folder, "--json")))["handlers"] is None:
        assert time.monotonic() < deadline
    handler = looked["handlers"]["tail.Order"]
    assert (handler["processed"], handler["failed"], len(handler["processes"])) == (2, 1, 1)
    assert looked["disk_free_bytes"] > 0
    words = ("wait p50", "run p50", "owner", "B free on the disk")
    while not all(word in (shown := run("status", folder, "--once")) for word in words):
        assert time.monotonic() < deadline, shown
