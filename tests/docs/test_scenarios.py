"""Each scenario that must hold has tests that name it, and docs/SCENARIOS.md says which.

`python tests/docs/test_scenarios.py` writes the table anew.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "SCENARIOS.md"
HEAD = """# Scenarios and their tests

What must hold, by number, and the tests that prove it: those that name the number in the docstring of the test or of its file.
Written by `python tests/docs/test_scenarios.py`; a test checks that what it names is there.

| scenario | tests |
| --- | --- |
"""
COUNT = 57
_NAMED = re.compile(r"[Ss]cenarios?\s+((?:\d+(?:,\s*|\s+and\s+|\s+to\s+|\s)?)+)")


def numbers(docstring: str) -> set[int]:
    """Give the scenarios that a docstring names: `Scenarios 3, 5 and 7 to 9`."""
    found: set[int] = set()
    for listed in _NAMED.findall(docstring):
        for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", listed):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def by_scenario() -> dict[int, list[str]]:
    """Give the tests (or whole files) that name each scenario."""
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


def table() -> str:
    rows = (f"| {number} | {'<br>'.join(f'`{name}`' for name in names)} |" for number, names in by_scenario().items())
    return HEAD + "\n".join(rows) + "\n"


def test_numbers_of_a_docstring() -> None:
    assert numbers("Scenario 3. And scenarios 5, 7 and 9 to 11: 400 times.") == {3, 5, 7, 9, 10, 11}


def test_each_scenario_has_a_test() -> None:
    assert [number for number, names in by_scenario().items() if not names] == []


def test_table_tells_no_tale() -> None:
    """It may lag behind a new test, and names none that is not there."""
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, COUNT + 1))
    found = by_scenario()
    for number, cell in rows:
        told = re.findall(r"`([^`]+)`", cell)
        assert told
        assert set(told) <= set(found[int(number)]), "run: python tests/docs/test_scenarios.py"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
