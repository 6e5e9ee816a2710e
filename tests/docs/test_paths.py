"""Check that files, folders, modules and headings named in the docs exist. ARCHITECTURE.md lists each event with its wire tag.

Nothing but the known files and folders is committed.
The site of the docs, which test_site builds, finds more; this takes milliseconds.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from perdure.events.vocabulary import VOCABULARY

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"])
PATH = re.compile(r"`((?:host|actors|events|store|chaos|tests|benchmarks|examples)/[\w/.]*)`")
BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
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


def anchors(page: Path) -> set[str]:
    """Return what a link may name behind `#`: the headings as GitHub and the site write them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    found = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", [*PAGES, CHECKOUT / "examples" / "README.md"], ids=lambda page: page.parent.name + "-" + page.name)
def test_each_link_of_a_page_leads_to_a_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_a_heading_that_is_gone_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`, three\n[a](#one-two-three) [b](#gone) [c](gone.md)\n```\n# Code\n[d](#gone)\n```\n")
    assert broken_links(page) == ["#gone", "gone.md"]


def test_missing_path_is_reported() -> None:
    assert not exists("actors/stage.py")
    assert not is_importable("perdure.actors.stage")


def test_architecture_lists_every_event_with_its_tag_and_its_decider() -> None:
    page = (CHECKOUT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| .* \| (\w+) \| .* \|$", page, re.MULTILINE)
    listed = {(int(tag), name, decider) for tag, name, decider in rows}
    known = {(tag, kind.__name__, kind.DECIDER) for tag, kind in VOCABULARY.items()}
    assert listed == known


TOP = {  # of the repository
    *(".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "conftest.py", "mkdocs.yml"),
    *("pyproject.toml", "setup.py"),
    *("actors", "benchmarks", "chaos", "docs", "events", "examples", "host", "store", "tests"),
}


def test_no_folder_that_a_command_wrote_into_the_checkout_is_committed() -> None:
    git = shutil.which("git")
    if git is None or not (CHECKOUT / ".git").exists():
        pytest.skip("no git, or no checkout of it: what is committed cannot be listed")
    list_files = [git, "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(list_files, cwd=CHECKOUT, check=True, capture_output=True, timeout=60).stdout.decode()
    names = listed.strip("\0").split("\0")
    assert {name.partition("/")[0] for name in names} == TOP
    assert [name for name in names if name.endswith(".seg") and not name.startswith("tests/golden/")] == []
