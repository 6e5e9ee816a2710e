"""Build the wheel for the packaging tests, once a session, from a copy of the checkout.

test_wheel.py checks what it holds, test_import_arrows.py which room may import which.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout: setuptools writes build/ beside the sources, and packs what an earlier build left there."""
    ignored = (CHECKOUT / ".gitignore").read_text(encoding="utf-8").split()
    patterns = [pattern.rstrip("/") for pattern in ignored]
    copy = tmp_path_factory.mktemp("sources") / "perdure"
    shutil.copytree(CHECKOUT, copy, ignore=shutil.ignore_patterns(".git", *patterns))
    return copy


@pytest.fixture(scope="session")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as pip has it built, offline, with the setuptools of this environment."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-c", "import sys; from setuptools import build_meta as it; it.build_wheel(sys.argv[1])", str(out)]
    built = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False, timeout=240)
    assert built.returncode == 0, f"the wheel does not build:\n{built.stdout}\n{built.stderr}"
    (path,) = out.glob("*.whl")
    return path
