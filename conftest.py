"""How the tests are spread over processes: all of them over several, a few named ones in the process that was called.

No fixture lives here; those are in the conftest.py of each room's tests.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
PER_CORE = 3  # many tests wait, for threads, for timers, for the disk: two for each core keep it little more than half busy

if sys.dont_write_bytecode:
    # The environment wants no bytecode beside the sources. Without any, each process of the tests would compile all of perdure and
    # rewrite the assertions of all tests: several seconds of a processor for each. So it goes where pytest keeps what it knows.
    sys.pycache_prefix = str(HERE / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--store postgres`: the tests of host/ keep their logs in PostgreSQL wherever they name a folder."""
    parser.addoption("--store", choices=("files", "postgres"), default="files", help="where the tests of host/ keep their logs")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `-n auto` starts: none where only files or single tests are named, or output is to be seen."""
    whole = all(os.path.isdir(arg) for arg in config.args)  # noqa: PTH112 - arguments may hold "::", and are told apart as text
    looks_on = config.getoption("capture") == "no" or config.getoption("collectonly")
    return PER_CORE * len(os.sched_getaffinity(0)) if whole and not looks_on else 0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without collecting garbage: what the tests are made of stays until the end, and each pass would look at all of it."""
    gc.disable()
    _let_examples_take_their_time()
    _import_from_elsewhere(session.config)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _let_examples_take_their_time() -> None:
    """Have no random example fail for the time that it took: that tells of the machine. In CI hypothesis does so by itself."""
    settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")


def _import_from_elsewhere(config: pytest.Config) -> None:
    """Import all test modules, where processes share the tests; each process begins with another one.

    On a fresh checkout every module has to be compiled and its assertions rewritten, which takes longer than to import it. So each
    process does that for its part, and finds the bytecode of the others. What fails to be imported is reported by the collection.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None:
        return
    files = [file for arg in config.args for file in sorted((HERE / arg).rglob("test_*.py"))]
    share = int(worker["workerid"].removeprefix("gw")) * len(files) // worker["workercount"]
    for file in files[share:] + files[:share]:
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(file.relative_to(HERE).with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with the longest: one that starts last would keep the others waiting for it."""
    if hasattr(config, "workerinput"):
        items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("long")
    return 0.0 if mark is None else float(mark.kwargs.get("seconds", 10.0))
