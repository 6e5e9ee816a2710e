"""The docstring of each folder's `__init__` is a map: it names each module and each folder in it, and no module that is gone.

A folder has about a dozen modules, those of tests too; then a map is read at a glance.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
ROOMS = ("actors", "benchmarks", "chaos", "events", "host", "store")
FOLDERS = sorted(found.parent for room in ROOMS for found in (TOP / room).rglob("__init__.py"))
ALONE = {"actors", "chaos", "events", "store"}
UNNAMED = {"__init__", "__main__", "0001_outbox"}
"""Modules that a tool finds by their names, and a reader never looks for."""
MODULES_MAX = 14


def map_of(folder: Path) -> str:
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""


def contents(folder: Path) -> set[str]:
    folders = {found.parent.name for found in folder.glob("*/__init__.py")}
    return ({module.stem for module in folder.glob("*.py")} | folders) - UNNAMED


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(TOP)))
def test_a_map_names_all_that_is_in_its_folder(folder: Path) -> None:
    named = {name for quoted in re.findall(r"`([^`]+)`", map_of(folder)) for name in re.findall(r"\w+", quoted)}
    assert contents(folder) <= named


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(TOP)))
def test_a_map_names_no_module_that_is_gone(folder: Path) -> None:
    for dotted in re.findall(r"`perdure\.([a-z_.]+)`", map_of(folder)):
        place = dotted.split(".")
        top = TOP if place[0] in ALONE else TOP / "host"
        assert any(_is_there(top.joinpath(*part)) for part in (place, place[:-1])), dotted
    for path in re.findall(r"`([a-z_]+(?:/[a-z_]+)+)`", map_of(folder)):
        assert any(_is_there(start / path) for start in (TOP / "host", folder, *folder.parents)), path


@pytest.mark.parametrize("room", ROOMS)
def test_no_two_modules_of_a_room_have_one_name(room: str) -> None:
    count = Counter(module.stem for module in (TOP / room).rglob("*.py"))
    assert {name for name, times in count.items() if times > 1} <= UNNAMED


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_a_folder_has_about_a_dozen_modules(room: str) -> None:
    count = Counter(module.parent for module in (TOP / room).rglob("*.py") if module.stem not in UNNAMED)
    assert {str(folder.relative_to(TOP)): modules for folder, modules in count.items() if modules > MODULES_MAX} == {}


def _is_there(place: Path) -> bool:
    return place.is_dir() or place.with_suffix(".py").is_file()
