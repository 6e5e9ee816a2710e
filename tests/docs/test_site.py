"""Build the site of the docs strictly: a link to a page or a heading that is gone, or a docstring that cannot be read, fails."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import perdure
from perdure import telemetry

CHECKOUT = Path(__file__).parents[2]
MISSING = [name for name in ("mkdocs", "material", "mkdocstrings") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.long(seconds=10),
    # .ci/run installs them, and has no other step for the site: there a missing one is a failure.
    pytest.mark.skipif(bool(MISSING) and "CI" not in os.environ, reason=f"{MISSING} not installed: pip install -e '.[docs]'"),
]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with perdure as an installation has it: mkdocs does not see through the import hook of an editable one."""
    package = tmp_path / "packages" / "perdure"
    package.mkdir(parents=True)
    for room in (*(CHECKOUT / "host").iterdir(), *(CHECKOUT / name for name in ("actors", "chaos", "events", "store"))):
        (package / room.name).symlink_to(room)
    return package.parent


def test_site_is_built_without_a_warning_and_its_reference_has_each_public_name(packages: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(packages), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reference = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'id="perdure\.([\w.]+)"', reference))
    assert {*perdure.__all__, *(f"telemetry.{name}" for name in telemetry.__all__)} - shown == set()
