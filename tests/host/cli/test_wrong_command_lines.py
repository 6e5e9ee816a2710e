"""A wrong command line ends with status 2, whatever command it is; what is right and cannot be done does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.exit_codes import code_of
from perdure.cli.main import app
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from pathlib import Path


PATIENCE_S = 60.0


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int


@pytest.fixture(scope="module")
def resting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong") / "q"
    with perdure.System(folder) as system:
        system.handler(Order, retries=0)(_refuse)
        system.every(3600.0, message=Order(9), name="hourly")
        system.publish(Order(1), id="dead")
        system.publish({"n": 1}, id="waits")
        until_s = time.monotonic() + PATIENCE_S
        while not system.dead_letters.list():
            assert time.monotonic() < until_s
            time.sleep(0.01)
    return folder


def _refuse(order: Order) -> None:
    raise perdure.Reject("no stock")


def status(*words: object) -> int:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, (PerdureError, OSError)):
        return code_of(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code


WRONG = [
    # positions
    "state F --at soon",
    "state F --at -1",
    "explain F waits --at 2026-13-01",
    "diff F yesterday",
    "search F type=Order --since 5x",
    "search F type=Order --until never",
    "schedules F --at 3",
    # expressions
    "search F priority>abc",
    "search F colour=red",
    "search F type",
    "search F error!=x",
    "tail F --where priority>abc",
    "cancel F --where priority>abc --dry-run",
    "cancel F --where colour=red",
    "dead-letters list F --where priority>abc",
    "dead-letters replay F --where priority>abc --dry-run",
    "dead-letters edit F --where priority>abc --set number=1 --dry-run",
    "dead-letters purge F --where priority>abc --dry-run",
    # values of options and arguments
    "tail F -n many",
    "tail F -n -1",
    "status F --every 0",
    "status F --every x",
    "acts F --limit 0",
    "search F type=Order --limit 0",
    "scale F Order many",
    "scale F Order -1",
    "configure F Order retries=many",
    "configure F Order colour=red",
    "configure F Order retries",
    "configure F Order",
    "publish F Order {",
    "publish F Order {} --priority high",
    "publish F Order {} --delay x",
    "publish F Order {} --delay -1",
    "run-now F",
    "cancel F",
    "dead-letters replay F",
    "dead-letters replay F dead --counted 1:2",
    "dead-letters replay F --where type=Order --counted x",
    "dead-letters purge F --older-than x",
    "export F --format exe --output out",
    "verify F --head x",
    "restore F new --to never",
    "backup F EMPTY",
    "restore EMPTY new",
    "export F -o out EMPTY",
    "migrate F",
    "run worker",
    "run worker:",
    "console F --port x",
    "console F --port 70000",
    "serve F --nonsense",
    # commands and numbers of arguments
    "nonsense F",
    "state",
    "timeline F",
    "timeline F a b",
    "--config missing.toml config",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_ends_with_2(line: str, resting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    acts = list(perdure.Audit(resting).acts())
    words = {"F": resting, "EMPTY": ""}
    assert status(*(words.get(word, word) for word in line.split())) == 2
    assert list(perdure.Audit(resting).acts()) == acts


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("timeline F nothing", 5),
        ("explain F nothing", 5),
        ("cancel F nothing", 5),
        ("run-now F nothing", 5),
        ("run-now F --schedule nothing", 5),
        ("dead-letters show F nothing", 5),
        ("dead-letters replay F nothing", 5),
        ("state missing", 1),
        ("doctor missing", 1),
        ("doctor empty", 1),
        ("backup missing target", 1),
        ("restore F new", 1),
        ("backup F F/inside", 1),
        ("run nowhere:system", 1),
        ("state F", 0),
        ("search F type=Order", 0),
        ("doctor F", 0),
        ("schedules F", 0),
        ("config F", 0),
    ],
)
def test_a_right_command_line_that_cannot_be_done_ends_otherwise(
    line: str, code: int, resting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert status(*(word.replace("F", str(resting), 1) if word[0] == "F" else word for word in line.split())) == code
