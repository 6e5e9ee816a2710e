"""Check that files, folders and modules named in the docs exist, and that ARCHITECTURE.md lists each event with its wire tag."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from perdure.events.vocabulary import VOCABULARY

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"])
PATH = re.compile(r"`((?:host|actors|events|store|chaos|tests|benchmarks|examples)/[\w/.]*)`")
MODULE = re.compile(r"\bperdure\.(?:actors|events|store|chaos)(?:\.[a-z_]+)*\b(?!\()")


def exists(path: str) -> bool:
    return any((CHECKOUT / found).exists() for found in (path, f"{path}.py"))


def is_importable(name: str) -> bool:
    """Return whether a dotted name is a module, or an attribute of one."""
    try:
        if importlib.util.find_spec(name):
            return True
    except ModuleNotFoundError:
        pass
    parent, _, attribute = name.rpartition(".")
    return parent.count(".") > 0 and hasattr(importlib.import_module(parent), attribute)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_path_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [path for path in PATH.findall(text) if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_module_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in MODULE.findall(text) if not is_importable(name)] == []


def test_missing_path_is_reported() -> None:
    assert not exists("actors/stage.py")
    assert not is_importable("perdure.actors.stage")


def test_architecture_lists_every_event_with_its_tag_and_its_decider() -> None:
    page = (CHECKOUT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| .* \| (\w+) \| .* \|$", page, re.MULTILINE)
    listed = {(int(tag), name, decider) for tag, name, decider in rows}
    known = {(tag, kind.__name__, kind.DECIDER) for tag, kind in VOCABULARY.items()}
    assert listed == known
