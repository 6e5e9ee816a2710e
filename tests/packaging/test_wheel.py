"""Check what the wheel holds: the rooms as one typed package, the licence, the commands, and nothing else.

conftest.py builds the wheel.
"""

from __future__ import annotations

import tomllib
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # one process runs all of these, so the wheel is built once
CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = {"host": "", "actors": "actors/", "chaos": "chaos/", "events": "events/", "store": "store/"}


@pytest.fixture
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path, name: str) -> str:
    """Read one file of the wheel's dist-info folder."""
    with ZipFile(wheel) as archive:
        (path,) = [entry for entry in archive.namelist() if entry.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def test_wheel_installs_only_perdure(names: set[str]) -> None:
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {name.split("/")[0] for name in names} == {"perdure", f"perdure-{version}.dist-info"}


def test_wheel_holds_exactly_the_files_of_the_rooms(names: set[str], sources: Path) -> None:
    """No module or data file of the checkout is missing from the wheel, and none is added."""
    expected = {
        f"perdure/{prefix}{path.relative_to(sources / folder).as_posix()}"
        for folder, prefix in ROOMS.items()
        for path in (sources / folder).rglob("*")
        if path.is_file()
    }
    assert {name for name in names if name.startswith("perdure/")} == expected


def test_wheel_is_marked_as_typed(names: set[str]) -> None:
    assert "perdure/py.typed" in names


def test_wheel_holds_the_licence(wheel: Path) -> None:
    assert Parser().parsestr(metadata(wheel, "METADATA")).get_all("License-File") == ["LICENSE"]
    assert metadata(wheel, "licenses/LICENSE") == (CHECKOUT / "LICENSE").read_text(encoding="utf-8")


def test_wheel_installs_the_commands(wheel: Path) -> None:
    entry_points = ConfigParser()
    entry_points.read_string(metadata(wheel, "entry_points.txt"))
    assert entry_points["console_scripts"]["perdure"] == "perdure.cli.main:main"
    assert set(entry_points["perdure.commands"]) == {"chaos", "soak"}
    assert entry_points["pytest11"]["perdure"] == "perdure.chaos.pytest_plugin"


def test_wheel_holds_the_orders_of_the_demo(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        assert archive.read("perdure/demo/orders.jsonl") == (CHECKOUT / "host" / "demo" / "orders.jsonl").read_bytes()
