"""Check that each scenario has tests that name it, and that the tests listed in docs/SCENARIOS.md exist.

`python tests/docs/test_scenarios.py` fills in the column of tests.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "SCENARIOS.md"
COUNT = 57
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
_NAMED = re.compile(r"[Ss]cenarios?\s+((?:\d+(?:,\s*|\s+and\s+|\s+to\s+|\s)?)+)")


def numbers(docstring: str) -> set[int]:
    """Return the scenarios that a docstring names, for example `Scenarios 3, 5 and 7 to 9`."""
    found: set[int] = set()
    for listed in _NAMED.findall(docstring):
        for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", listed):
            found |= set(range(int(first), int(last or first) + 1))
    return found


@functools.cache
def by_scenario() -> dict[int, list[str]]:
    """Return the tests (or whole files) that name each scenario."""
    found: dict[int, list[str]] = {number: [] for number in range(1, COUNT + 1)}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if file.resolve() == Path(__file__).resolve():
                continue
            name = path if isinstance(node, ast.Module) else f"{path}::{node.name}"
            for number in numbers(ast.get_docstring(node) or "") & found.keys():
                found[number].append(name)
    return found


def filled(page: str) -> str:
    """Return the page with the tests of each scenario as they are now; what must hold is written by hand."""
    found = by_scenario()

    def row(match: re.Match[str]) -> str:
        number, what, _ = match.groups()
        return f"| {number} | {what} | {'<br>'.join(f'`{name}`' for name in found[int(number)])} |"

    return ROW.sub(row, page)


def test_numbers_of_a_docstring() -> None:
    assert numbers("Scenario 3. And scenarios 5, 7 and 9 to 11: 400 times.") == {3, 5, 7, 9, 10, 11}


def test_each_scenario_has_a_test() -> None:
    assert [number for number, names in by_scenario().items() if not names] == []


def test_table_lists_only_tests_that_exist() -> None:
    """The table may lack a new test, but each test in it exists and names its scenario."""
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    assert [int(number) for number, _, _ in rows] == list(range(1, COUNT + 1))
    found = by_scenario()
    for number, _, cell in rows:
        listed = re.findall(r"`([^`]+)`", cell)
        assert listed
        assert set(listed) <= set(found[int(number)]), "run: python tests/docs/test_scenarios.py"


if __name__ == "__main__":
    TABLE.write_text(filled(TABLE.read_text(encoding="utf-8")), encoding="utf-8")
