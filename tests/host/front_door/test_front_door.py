"""The front door: its names, what `import perdure` loads, and that each name resolves."""

import copy
import importlib
import pickle
import pkgutil
import subprocess
import sys

import pytest

import perdure

HEAVY = ("asyncio", "attrs", "msgspec", "pykka", "zstandard", "perdure.system")


def test_import_loads_only_the_front_door() -> None:
    """Counts modules, not milliseconds: a large module is imported with the first name that needs it."""
    code = f"import sys, perdure; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", perdure.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(perdure, name).__module__ == "perdure"
    assert name in dir(perdure)


def test_no_public_name_is_hidden_by_a_module() -> None:
    """An imported submodule is an attribute of its package and would hide a lazy name."""
    modules = {module.name for module in pkgutil.iter_modules(perdure.__path__)}
    assert not modules & set(perdure.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'perdure' has no attribute 'Sytem'"):
        _ = perdure.Sytem


def test_rooms_can_be_reached_from_the_door_in_a_fresh_process() -> None:
    same = "perdure.events.errors.LeaseLost is perdure.LeaseLost, perdure.store.MemoryStore is perdure.MemoryStore"
    code = f"import perdure; print({same})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"]


def test_star_import_brings_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from perdure import *", names)  # noqa: S102 - the statement itself is what is tried
    assert set(perdure.__all__) <= set(names)
    assert importlib.import_module("perdure.system").System is names["System"]


def test_system_is_neither_copied_nor_pickled() -> None:
    system = perdure.System(store=perdure.MemoryStore())
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"can be neither copied nor pickled.*another process publishes through this one"):
            way(system)
    assert "not running" in repr(system)
