"""Compare docs/OPERATIONS.md with the code: each option with its default, each error, each command, each runtime counter."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import typer.main

import perdure
from perdure.cli import main as cli

DOC = (Path(__file__).parents[3] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def table(title: str) -> list[list[str]]:
    """Return the cells of the first table whose header begins with a title."""
    lines = DOC.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"| {title} |"))
    rows = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def value_of(text: str) -> object:
    if found := re.fullmatch(r'`"(.*)"`', text):
        return found[1]
    if text in ("True", "False"):
        return text == "True"
    if text == "none":
        return None
    number, _, unit = text.replace(",", "").partition(" ")
    return int(number) * SIZES[unit] if unit in SIZES else float(number) if re.fullmatch(r"[\d.]+", number) else text


def test_each_option_is_listed_with_its_default() -> None:
    listed: dict[str, object] = {}
    for names, defaults, _ in table("option"):
        named = re.findall(r"`(\w+)`", names)
        listed.update(zip(named, map(value_of, defaults.split("; ")), strict=True))
    options = {field.name: field.default for field in attrs.fields(perdure.Options)}
    assert set(listed) == set(options)
    folder = listed.pop("history_folder")
    assert folder == "`archive` in the data folder"
    listed["allowed_uids"] = listed["allowed_uids"] or ()  # none: no other user
    assert listed == {name: default for name, default in options.items() if name != "history_folder"}


def test_each_error_is_listed_with_what_to_do() -> None:
    listed = {name for row in table("error") for name in re.findall(r"`(\w+)`", row[0])}
    errors = {name for name in perdure.__all__ if isinstance(getattr(perdure, name), type)}
    errors = {name for name in errors if issubclass(getattr(perdure, name), perdure.PerdureError)}
    assert listed == errors - {"PerdureError"}
    assert all(row[2] for row in table("error"))


def test_each_command_is_listed() -> None:
    for name in typer.main.get_command(cli.app).commands:  # type: ignore[attr-defined]  # a group of commands
        assert f"`perdure {name}" in DOC, name


@pytest.mark.parametrize("name", sorted(set(re.findall(r'runtime_counters(?:`?\[|\[)"(\w+)"\]', DOC))))
def test_each_runtime_counter_of_the_page_exists(name: str) -> None:
    rooms = Path(__file__).parents[3]
    assert any(f'count("{name}"' in path.read_text(encoding="utf-8") for path in (rooms / "actors").rglob("*.py")), name
