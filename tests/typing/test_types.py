"""What type checkers say of right and of wrong uses of the front door, and what `help()` shows of it."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
import pydantic
import pytest

import perdure
from perdure.actors.workers.handler_spec import CHANGEABLE, HandlerSpec
from perdure.chaos import SimulatedSystem
from perdure.events.publish_options import PublishManyOptions, PublishOptions, ScheduledOptions
from perdure.handling.options.handler_options import (
    BatchHandlerKeywords,
    ChangeableKeywords,
    HandlerKeywords,
    check_changes,
    check_options,
    spec_fields,
)
from perdure.operations.admin import Admin
from perdure.publishing.drafts import Drafts

if TYPE_CHECKING:
    from collections.abc import Callable

USES = Path(__file__).with_name("front_door.py")
ROOMS = ("actors", "chaos", "events", "store")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with perdure as a package, as an installation has it: checkers do not see through an editable one's import hook."""
    root = Path(__file__).parents[2]
    folder = tmp_path_factory.mktemp("packages")
    (folder / "perdure").mkdir()
    for inner in (root / "host").iterdir():
        (folder / "perdure" / inner.name).symlink_to(inner)
    for room in ROOMS:
        (folder / "perdure" / room).symlink_to(root / room)
    (folder / USES.name).write_text(USES.read_text())
    return folder


def expected(checker: str) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for number, line in enumerate(USES.read_text().splitlines(), 1):
        if told := re.search(rf"\b{checker} ([\w -]+?)(?:;|$)", line.partition("  # wrong: ")[2]):
            found[number] = set(told[1].split())
    return found


def mypy(folder: Path) -> dict[int, set[str]]:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(folder / "cache")]
    command += ["--python-version", "3.11", "--follow-imports", "silent", USES.name]
    out = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    found: dict[int, set[str]] = defaultdict(set)
    for number, code in re.findall(rf"^{USES.name}:(\d+): error: .*\[([\w-]+)\]$", out, re.MULTILINE):
        found[int(number)].add(code)
    assert found, out
    return found


def pyright(folder: Path) -> dict[int, set[str]]:
    (folder / "pyrightconfig.json").write_text(json.dumps({"include": [USES.name], "pythonVersion": "3.11"}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found: dict[int, set[str]] = defaultdict(set)
    for told in json.loads(done.stdout)["generalDiagnostics"]:
        found[told["range"]["start"]["line"] + 1].add(told.get("rule", told["message"]))
    assert found, done
    return found


@pytest.mark.timeout(300)
@pytest.mark.long(seconds=8)
@pytest.mark.parametrize("check", [mypy, pyright])
def test_each_checker_finds_exactly_the_wrong_uses(packages: Path, check: Callable[[Path], dict[int, set[str]]]) -> None:
    pytest.importorskip(check.__name__)
    assert check(packages) == expected(check.__name__)


PUBLISHING = ("publish", "submit", "apublish", "asubmit", "call", "acall")


@pytest.mark.parametrize(
    ("function", "options"),
    [
        *((getattr(perdure.System, name), PublishOptions) for name in PUBLISHING),
        (perdure.Context.publish, PublishOptions),
        (perdure.Outbox.publish, PublishOptions),
        (perdure.System.publish_many, PublishManyOptions),
        (perdure.System.handler, HandlerKeywords),
        (perdure.System.batch_handler, BatchHandlerKeywords),
        (perdure.System.every, HandlerKeywords),
        (perdure.System.every, ScheduledOptions),
        (Admin.configure, ChangeableKeywords),
    ],
)
def test_a_signature_shows_each_option_by_name(function: Callable[..., Any], options: Any) -> None:
    shown = inspect.signature(function).parameters
    assert shown.keys() >= options.__annotations__.keys()
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in shown.values())


def test_options_of_a_publish_are_those_that_are_checked() -> None:
    checked = inspect.signature(Drafts.make).parameters
    shown = inspect.signature(perdure.System.publish).parameters
    assert checked.keys() - {"causation_id", "others"} == shown.keys()  # others: misspelt options, to be told by name
    assert {name: checked[name].default for name in shown} == {name: shown[name].default for name in shown}


def test_each_option_of_a_handler_reaches_the_worker() -> None:
    """The options are one list; `HandlerSpec` has what becomes of them, and of the function."""
    fields = spec_fields(check_options({}), retries=3)
    of_the_function = {"type", "call", "label", "function", "kind", "batch_size", "batch_wait_s", "every", "zone"}
    assert fields.keys() == {field.name for field in attrs.fields(HandlerSpec)} - of_the_function


def test_what_an_operator_may_change_is_one_list() -> None:
    changes: Any = {"timeout": 1.0, "lease": 2.0, "renew": True, "retries": 4, "rate": 5.0}
    assert changes.keys() == ChangeableKeywords.__annotations__.keys()
    assert check_changes(changes).keys() == set(CHANGEABLE)


def test_help_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    help(perdure.System.publish)
    told = capsys.readouterr().out
    assert "publish(self, message: Any, *, key: str | None = None, id: str | None = None, " in told
    assert "'str" not in told
    help(perdure.System.handler)
    told = capsys.readouterr().out
    assert "timeout: float | timedelta | None = None" in told
    assert "dedup: Literal['replace', 'reject', 'append'] = 'replace'" in told


@attrs.frozen
class AttrsQuote(perdure.Returns[str]):
    sku: str


@dataclass
class DataclassQuote(perdure.Returns[str]):
    sku: str


class StructQuote(msgspec.Struct, perdure.Returns[str]):
    sku: str


class ModelQuote(pydantic.BaseModel, perdure.Returns[str]):
    sku: str


@pytest.mark.parametrize("kind", [AttrsQuote, DataclassQuote, StructQuote, ModelQuote])
def test_a_message_class_of_any_kind_declares_its_result(kind: type[Any]) -> None:
    system = SimulatedSystem()
    system.handler(kind)(lambda quote: quote.sku)
    with system:
        assert system.call(kind(sku="pen"), timeout=5.0) == "pen"


def test_checkers_are_there_in_ci() -> None:
    if os.environ.get("CI"):
        assert all(importlib.util.find_spec(name) for name in ("mypy", "pyright"))
