"""How the tests are spread over processes: all of them over several, a few named ones in the process that was called.

No fixture lives here; those are in the conftest.py of each room's tests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

PER_CORE = 2  # many tests wait: for threads, for timers, for the disk

if sys.dont_write_bytecode:
    # The environment wants no bytecode beside the sources. Without any, each process of the tests would compile all of perdure and
    # rewrite the assertions of all tests: several seconds of a processor for each. So it goes where pytest keeps what it knows.
    sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `-n auto` starts: none where only files or single tests are named, or output is to be seen."""
    whole = all(os.path.isdir(arg) for arg in config.args)  # noqa: PTH112 - arguments may hold "::", and are told apart as text
    looks_on = config.getoption("capture") == "no" or config.getoption("collectonly")
    return PER_CORE * len(os.sched_getaffinity(0)) if whole and not looks_on else 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with the longest: one that starts last would keep the others waiting for it."""
    if hasattr(config, "workerinput"):
        items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("long")
    return 0.0 if mark is None else float(mark.kwargs.get("seconds", 10.0))
