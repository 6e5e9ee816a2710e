"""The completion of commands and types in zsh and fish as they are, as a person presses Tab. Bash: `look/test_tail_and_status`."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long(seconds=8)
PATIENCE_S = 180.0
needs = {name: pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed") for name in ("zsh", "fish")}


@perdure.message(name="shells.Order")
@attrs.frozen
class Order:
    number: int


@pytest.fixture
def folder(tmp_path: Path) -> str:
    with perdure.System(tmp_path / "orders") as system:
        system.publish(Order(1))
    return str(tmp_path / "orders")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb", "XDG_CONFIG_HOME": str(home)}


@needs["fish"]
def test_fish_completes_commands_and_types(folder: str, environment: dict[str, str]) -> None:
    script = f"""
        _PERDURE_COMPLETE=source_fish perdure | source
        complete -C "perdure sna"
        complete -C "perdure pause {folder} shells."
    """
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert words == ["snapshot", "shells.Order"], done.stderr


class Terminal:
    """A zsh on a terminal of its own, as a person has it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._fd, line = pty.openpty()
        self._zsh = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=line, stdout=line, stderr=line, env=environment, start_new_session=True
        )
        os.close(line)
        self.shown = ""

    def types(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def shows(self, pattern: str) -> str:
        """Wait until the terminal shows this; return it, and forget what came before."""
        until_s = time.monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < until_s, self.shown
            if select.select([self._fd], [], [], 0.1)[0]:
                self.shown += os.read(self._fd, 4096).decode(errors="replace")
        self.shown = self.shown[found.end() :]
        return found[0]

    def close(self) -> None:
        self._zsh.kill()
        self._zsh.wait(PATIENCE_S)
        os.close(self._fd)


@pytest.fixture
def zsh(environment: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(environment)
    yield terminal
    terminal.close()


@needs["zsh"]
def test_zsh_completes_commands_and_types(folder: str, zsh: Terminal) -> None:
    zsh.types("autoload -U compinit; compinit -D -u; eval \"$(_PERDURE_COMPLETE=source_zsh perdure)\"; print re''ady\n")
    zsh.shows("ready")
    zsh.types("perdure sna\t")
    zsh.shows("perdure snapshot")
    zsh.types(f"\x15perdure pause {folder} shells.\t")
    zsh.shows(r"shells\.Order")
