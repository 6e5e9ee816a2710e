"""A full disk, handled with the shell alone: the operator sees what is wrong, makes room, and finds that nothing was lost."""

from __future__ import annotations

import json
import subprocess
import sys
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import perdure
from perdure.chaos.disk.mounts import Tmpfs, why_no_tmpfs
from perdure.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Until = Callable[[Callable[[], object]], None]

APPLICATION = """
import sys, attrs, perdure

@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int
    text: str = ""

system = perdure.System(sys.argv[1], shared=True)

@system.handler(Order)
def handle(order: Order) -> None:
    pass

with system:
    print("runs", flush=True)
    sys.stdin.read()
"""


def shell(*words: object) -> tuple[int, str]:
    """Run a command; return its status and all that it prints."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = str(result.exception) if isinstance(result.exception, perdure.PerdureError) else ""
    return result.exit_code, " ".join(f"{result.output} {error}".split())


@pytest.mark.long(seconds=15)
@pytest.mark.skipif(bool(why_no_tmpfs()), reason=why_no_tmpfs() or "")
def test_an_operator_makes_room_and_the_application_goes_on(tmp_path: Path, until: Until) -> None:
    with Tmpfs(4 << 20) as disk:
        folder, ballast = disk.path / "orders", disk.path / "old-logs.txt"
        words = [sys.executable, "-c", APPLICATION, str(folder)]
        application = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert application.stdout is not None
            assert application.stdout.readline() == "runs\n"
            status, accepted = shell("publish", folder, "Order", '{"number": 1}', "--id", "before")
            assert (status, accepted.strip()) == (0, "before")
            fill(ballast)

            status, refused = shell(
                "publish", folder, "Order", json.dumps({"number": 0, "text": token_hex(9_000)}), "--id", "refused"
            )
            assert status == 1
            assert "No space left on device" in refused

            status, told = shell("doctor", folder, "--json")
            room = next(one for one in json.loads(told) if one["check"] == "disk space")
            assert (status, room["level"]) == (1, "problem")
            assert room["advice"].startswith("make room now")

            ballast.unlink()
            until(lambda: shell("publish", folder, "Order", '{"number": 2}', "--id", "after")[0] == 0)
            until(lambda: counts(folder)["completed"] == 2)
        finally:
            application.communicate("")
        status, told = shell("verify", folder)
        assert (status, told.startswith("whole")) == (0, True)
        status, told = shell("search", folder, "type=Order", "--json")
        assert {one["id"] for one in json.loads(told)} == {"before", "after"}  # what was refused was not published
        status, told = shell("backup", folder, tmp_path / "elsewhere")
        assert status == 0


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def counts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell("state", folder, "--json")[1])
    return found
