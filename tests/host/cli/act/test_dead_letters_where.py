"""`perdure dead-letters` with expressions, on a folder at rest: counts first, hits just that, and refuses what is ambiguous."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path


@perdure.message(name="where.Order")
@attrs.frozen
class Order:
    number: int


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    return " ".join(f"{result.output} {result.exception or ''}".split())


def shown(*words: object) -> Any:
    return json.loads(run(*words, "--json"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("where") / "q"
    with perdure.System(folder) as system:
        for number in range(6):
            system.publish(Order(number), id=f"order {number}")
            delivery = system.checkout(Order)
            assert delivery is not None
            delivery.reject("no stock" if number % 2 else "no customer")
    return folder


def test_one_is_edited_in_place_and_others_by_an_expression(folder: Path) -> None:
    assert "1 edited and back" in run("dead-letters", "edit", folder, "order 0", "--set", "number=70")
    assert "is not a dead letter" in run("dead-letters", "edit", folder, "order 0", "--set", "number=70", code=1)
    counted = shown("dead-letters", "replay", folder, "--where", "reason~stock", "--dry-run")
    assert (counted["count"], counted["by_type"]) == (3, {"where.Order": 3})
    assert "3 dead letter(s) would be hit" in run("dead-letters", "replay", folder, "--where", "reason~stock", "--dry-run")
    done = shown("dead-letters", "replay", folder, "--where", "reason~stock", "--by", "ann")
    assert (done["changed"], done["passed_over"], done["changed_meanwhile"], done["principal"]) == (3, 0, 0, "ann")
    assert "2 removed" in run("dead-letters", "purge", folder, "--where", "reason~customer", "--yes")
    assert shown("dead-letters", "list", folder) == []


@pytest.mark.parametrize(
    "words",
    [
        ["replay"],
        ["replay", "order 0", "--where", "reason~stock"],
        ["replay", "--all", "--where", "reason~stock"],
        ["replay", "--where", "colour=red"],
        ["replay", "--where", "reason~stock", "--counted", "many"],
        ["edit", "--where", "reason~stock"],
        ["edit", "order 0", "{}", "--set", "number=1"],
        ["edit", "--where", "reason~stock", "--set", "number"],
        ["edit", "--where", "reason~stock", "--set", "number=1e999"],
        ["edit", "--where", "reason~stock", "--set", "number=NaN"],
        ["edit", "order 0", '{"number": 1e999}'],
        ["purge", "--where", "reason~stock", "--type", "where.Order", "--yes"],
        ["purge", "--type", "where.Order", "--dry-run"],
    ],
)
def test_what_is_ambiguous_or_no_expression_is_refused(folder: Path, words: list[str]) -> None:
    run("dead-letters", words[0], folder, *words[1:], code=1)


def test_messages_are_cancelled_by_an_expression_as_the_dry_run_counted(tmp_path: Path) -> None:
    folder = tmp_path / "q"
    with perdure.System(folder) as system:
        system.publish_many([Order(number % 2) for number in range(6)])
    counted = shown("cancel", folder, "--where", "payload.number=1", "--dry-run")
    assert (counted["count"], counted["by_type"]) == (3, {"where.Order": 3})
    assert "3 message(s) would be hit" in run("cancel", folder, "--where", "payload.number=1", "--dry-run")
    run("publish", folder, "where.Order", '{"number": 1}')
    as_counted = f"{counted['upto']}:{counted['count']}"
    done = shown("cancel", folder, "--where", "payload.number=1", "--counted", as_counted, "--by", "ann", "--why", "ticket 7")
    assert (done["action"], done["changed"], done["principal"], done["reason"]) == ("cancel", 3, "ann", "ticket 7")
    assert "1 cancelled" in run("cancel", folder, "--where", "payload.number=1")
    for words in (("id", "--where", "type=a"), ("id", "--dry-run"), ()):
        assert "name one ID" in run("cancel", folder, *words, code=1)
