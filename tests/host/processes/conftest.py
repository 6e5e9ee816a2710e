"""An owner in this process, or in one of its own, and clients of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import perdure
from tests.host.processes.shop import shop
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHOP = Path(__file__).with_name("shop.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"


@pytest.fixture
def owner(folder: Path) -> Iterator[perdure.System]:
    with shop(str(folder)) as system:
        yield system


@pytest.fixture
def client(owner: perdure.System, folder: Path) -> Iterator[perdure.Client]:
    with perdure.connect(folder) as client:
        yield client


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], Program]]:
    """Start an owner in a process of its own; returns when it is up."""
    started: list[Program] = []

    def start() -> Program:
        process = Program([str(SHOP), str(folder)], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
