"""docs/TESTING.md runs as written: the test extracts its files and runs their tests with the plugin's fixtures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[3] / "docs" / "TESTING.md"
BLOCK = re.compile(r"```python file=(\S+)\n(.*?)```", re.DOTALL)


@pytest.mark.long
def test_tutorial_runs_as_written(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for name, text in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")):
        files[name] = files.get(name, "") + text + "\n\n"
    assert set(files) == {"app.py", "shop.py", "test_shop.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:doctest", "test_shop.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{files['test_shop.py'].count('def test_')} passed" in done.stdout
