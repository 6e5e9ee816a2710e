"""Arguments that no one should give: each is refused in one line on standard error, without a traceback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from perdure.events.errors import PerdureError
from perdure.publishing.given_message import message_of

if TYPE_CHECKING:
    from pathlib import Path

MANY = "9" * 5_000
DEEP = "[" * 100_000


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int
    note: str = ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "q"
    with perdure.System(folder) as system:
        system.handler(Order, retries=0)(_refuse)
        for number in range(3):
            system.publish(Order(number, "two words"), id=f"order-{number}", key=f"k{number}")
        system.drain(timeout=60)
    return folder


def _refuse(order: Order) -> None:
    raise perdure.Reject(f"no stock for {order.number}")


@pytest.mark.parametrize(
    "words",
    [
        ["state", "--at", MANY],
        ["state", "--at", "99999999999999d"],
        ["state", "--at", MANY + "d"],
        ["diff", MANY, "1"],
        ["search", "type=Order", "--since", "99999999999999w"],
        ["configure", "Order", f"retries={DEEP}"],
        ["configure", "Order", "type=1"],
        ["configure", "Order", "self=1"],
        ["configure", "Order", "retries=1", "retries=2"],
        ["publish", "Order", DEEP],
        ["publish", "Order", '{"a":' * 5_000 + "1" + "}" * 5_000],
        ["publish", "Order", '{"a b": 1}'],
        ["publish", "Order", '{"class": 1}'],
        ["dead-letters", "edit", "order-1", DEEP],
        ["dead-letters", "replay", "--where", "type=Order", "--counted", f"{MANY}:{MANY}"],
        ["dead-letters", "list", "--where", "priority>high"],
    ],
)
def test_is_refused_in_a_line(folder: Path, words: list[str]) -> None:
    at = 2 if words[0] == "dead-letters" else 1
    result = CliRunner().invoke(app, [*words[:at], str(folder), *words[at:]])
    assert isinstance(result.exception, PerdureError), result.exc_info
    assert len(str(result.exception)) < 2_000


def test_more_lines_than_a_machine_can_count_are_refused(folder: Path) -> None:
    assert CliRunner().invoke(app, ["tail", str(folder), "-n", "99999999999999999999"]).exit_code == 2


@pytest.mark.parametrize("command", [["stats"], ["verify"], ["pause"], ["dead-letters", "list"], ["publish"]])
def test_an_empty_address_is_not_the_working_directory(folder: Path, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    more = ["Order", "{}"] if command == ["publish"] else []
    result = CliRunner().invoke(app, [*command, "", *more])
    assert isinstance(result.exception, PerdureError)
    assert "an empty text is no address" in str(result.exception)


def test_a_whole_expression_may_be_one_word_of_the_shell(folder: Path) -> None:
    def found(*words: str) -> int:
        return len(json.loads(CliRunner().invoke(app, ["search", str(folder), *words, "--json"]).output))

    assert found("type=Order key=k1") == found("type=Order", "key=k1") == 1
    assert (
        found("payload.note=two words") == found('payload.note="two words"') == found("type=Order", "payload.note='two words'") == 3
    )
    assert found("type=Order payload.note='two words'") == 3


def test_a_search_holds_only_what_it_lists(folder: Path) -> None:
    listed = CliRunner().invoke(app, ["search", str(folder), "type=Order", "--limit", "2"]).output
    assert "3 message(s) found; the newest 2 are shown" in listed
    assert "order-0" not in listed


@pytest.mark.parametrize("name", ["a=print()", "a, b", "x;y", "not", "a b", ""])
def test_no_name_of_a_field_becomes_source_text(name: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match="cannot be the name of a field"):
        message_of("Order", {name: 1})


def test_an_act_on_an_id_that_no_log_can_hold_is_answered() -> None:
    with perdure.System(store=perdure.MemoryStore()) as system, perdure.acting_as("ann"):
        assert not system.cancel("a\udcff")
        assert system.admin.metrics().runtime_counters.get("encoding_errors", 0) == 0


@pytest.mark.parametrize("given", ["host=db user=shop password=s3cret", "password = s3cret", "service=shop password=s3cret"])
def test_a_connection_string_is_not_a_folder_and_its_password_is_not_shown(given: str) -> None:
    result = CliRunner().invoke(app, ["stats", given])
    assert isinstance(result.exception, PerdureError)
    with pytest.raises(perdure.StoreUnavailable, match="postgresql://") as caught:
        perdure.connect(given, name="orders", timeout=0.1)
    assert "s3cret" not in f"{result.exception}{caught.value}{result.output}"
