"""Commands that look into history: explain, state, diff, search and tail; the answers are true of any moment that is kept."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from tests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int
    customer: dict[str, Any] = attrs.field(factory=dict)


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = "" if result.exception is None or isinstance(result.exception, SystemExit) else repr(result.exception)
    assert result.exit_code == code, f"{result.output} {error}"
    return result.output + error


def words_of(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "q"


def busy(folder: Path) -> perdure.System:
    system = perdure.System(folder)

    @system.handler(Order, retries=0)
    def handle(order: Order) -> None:
        if order.number < 0:
            msg = f"no stock for {order.number}"
            raise LookupError(msg)

    return system


# --- explain -------------------------------------------------------------------------------------------------------------


def explained(folder: Path, ident: str) -> str:
    return words_of(run("explain", folder, ident))


def test_a_completed_message_was_handled(folder: Path) -> None:
    with busy(folder) as system:
        system.publish(Order(1), id="one")
        system.drain(timeout=PATIENCE_S)
    assert "Order message one was published at" in explained(folder, "one")
    assert "It was handled at" in explained(folder, "one")


def test_a_dead_letter_says_why_and_what_to_do(folder: Path) -> None:
    with busy(folder) as system:
        system.publish(Order(-1), id="bad")
        system.drain(timeout=PATIENCE_S)
    text = explained(folder, "bad")
    assert "It became a dead letter at" in text
    assert "after 1 attempt(s): failed 1 times" in text
    assert "no stock for -1" in text
    assert "replay, edit or purge" in text


def test_what_waits_says_what_for(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish(Order(1), id="lone")
        assert "no handler was ever registered for its type" in explained(folder, "lone")
        system.publish(Order(2), id="late", delay=3600)
        assert re.search(r"It waits until \d{4}-\d\d-\d\d [\d:]+ UTC, when it may be handled\.", explained(folder, "late"))
        system.publish(Order(3), id="brief", ttl=3600)
        assert "It expires at" in explained(folder, "brief")
        system.publish(Order(4), id="first", group="g")
        system.publish(Order(5), id="second", group="g")
        assert "held by its group 'g', which is handled in order: message first comes before it" in explained(folder, "second")
        system.cancel("lone")
        assert "It was cancelled at" in explained(folder, "lone")


def test_what_is_out_says_who_has_it(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish(Order(1), id="one", key="k")
        delivery = system.checkout(Order, lease=600.0)
        assert delivery is not None
        delivery.heartbeat(40, "half-way")
        text = explained(folder, "one")
        assert "Attempt 1 is out with a consumer that checked it out since 2" in text
        assert "It last reported 40 % (half-way)." in text
        assert "Its lease ends at" in text
        system.publish(Order(2), id="two", key="k")
        assert "held by its key 'k': message one of that key is being handled" in explained(folder, "two")
        delivery.ack()


def test_a_pause_and_a_scale_to_nothing_are_named(folder: Path) -> None:
    with busy(folder) as system:
        system.admin.pause(Order)
        system.publish(Order(1), id="one")
        assert "deliveries of its type are paused: resume them" in explained(folder, "one")
        system.admin.pause()
        assert "deliveries of all types are paused" in explained(folder, "one")
        system.admin.scale(Order, 0)
        system.admin.resume()
        assert "scaled to 0 workers: scale it up" in explained(folder, "one")


def test_a_past_moment_is_explained_as_it_was(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish(Order(1), id="one", delay=3600)
        seq = system.admin.metrics().seq
        system.cancel("one")
    assert "It waits until" in words_of(run("explain", folder, "one", "--at", seq))
    assert "was cancelled" in explained(folder, "one")
    assert json.loads(run("explain", folder, "one", "--json"))["id"] == "one"
    assert "no message 'two'" in run("explain", folder, "two", code=1)


# --- state and diff ------------------------------------------------------------------------------------------------------


def test_the_counts_of_a_past_moment_and_what_changed_since(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish_many([Order(n) for n in range(7)])
        before = system.admin.metrics().seq
        with perdure.acting_as("ann", reason="test"):
            system.admin.pause()
        system.publish_many([Order(n) for n in range(5)])
        after = system.admin.metrics().seq
        system.cancel(system.publish(Order(1)))
    assert json.loads(run("state", folder, "--at", before, "--json"))["ready"] == 7
    assert "ready" in run("state", folder)
    changed = json.loads(run("diff", folder, before, after, "--json"))
    assert changed["changed"]["ready"] == [7, 12]
    assert [(act["action"], act["principal"]) for act in changed["acts"]] == [("pause", "ann")]
    shown = words_of(run("diff", folder, before))
    assert "cancelled 0 1 +1" in shown
    assert "ann did pause" in shown
    assert "nothing changed" in run("diff", folder, after, after)


@pytest.mark.parametrize("age", ["10m", "2h", "1d", "2020-01-01", "2020-01-01T10:00+02:00"])
def test_positions_may_be_ages_and_times(folder: Path, age: str) -> None:
    with perdure.System(folder) as system:
        system.publish(Order(1))
    assert "1 message(s) found" in run("search", folder, "type=Order", "--since", age)
    assert "names no position" in run("state", folder, "--at", "yesterday", code=1)


# --- search --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["type=Order"], ["a", "b", "c"]),
        (["id=b"], ["b"]),
        (["id~B"], ["b"]),
        (["key=k 1"], ["a"]),
        (["key!=k 1"], ["b", "c"]),
        (["payload.number>1"], ["b"]),
        (["payload.number<2", "payload.customer.name=O'Hara"], ["a"]),
        (["payload.customer.tags.1=vip"], ["b"]),
        (["header.tenant=north"], ["b"]),
        (["correlation=req-7"], ["c"]),
        (["error~NO STOCK"], ["c"]),
        (["event=DeadLettered", "type=Order"], ["c"]),
        (["event=Completed"], ["a", "b"]),
        (["error~stock", "event=Completed"], []),
        (["priority>4"], ["b"]),
    ],
)
def test_messages_are_found_by_what_they_are_and_what_happened(folder: Path, words: list[str], found: list[str]) -> None:
    with busy(folder) as system:
        system.publish(Order(1, {"name": "O'Hara"}), id="a", key="k 1")
        system.publish(Order(2, {"tags": ["new", "vip"]}), id="b", headers={"tenant": "north"}, priority=5)
        system.publish(Order(-1), id="c", correlation_id="req-7")
        system.drain(timeout=PATIENCE_S)
    assert [row["id"] for row in json.loads(run("search", folder, *words, "--json"))] == found
    assert f"{len(found)} message(s) found; looked back to the beginning" in words_of(run("search", folder, *words))


@pytest.mark.parametrize("words", [["colour=red"], ["Order"], ["payload=1"], ["type.x=1"], ["type"], [""]])
def test_a_wrong_search_says_what_there_is(folder: Path, words: list[str]) -> None:
    with perdure.System(folder):
        pass
    assert "FIELD=VALUE" in run("search", folder, *words, code=1)


# --- tail ----------------------------------------------------------------------------------------------------------------


def test_the_last_events_of_a_type_or_message(folder: Path) -> None:
    with perdure.System(folder) as system:
        for n in range(5):
            system.publish(Order(n), id=f"m{n}")
        system.cancel("m2")
    assert [json.loads(line)["event"] for line in run("tail", folder, "--id", "m2", "--json").splitlines()] == [
        "Published",
        "Cancelled",
    ]
    rows = [json.loads(line) for line in run("tail", folder, "-n", 2, "--type", "Published", "--json").splitlines()]
    assert [row["message"] for row in rows] == ["m3", "m4"]
    assert run("tail", folder, "-n", 0) == ""


def test_following_shows_events_as_they_are_written(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish(Order(0), id="old")
        command = ["-m", "perdure", "tail", str(folder), "-f", "--type", "Order", "--json"]
        with Program(command, stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            assert json.loads(follower.stdout.readline())["message"] == "old"
            system.publish(Order(1), id="new")
            assert json.loads(follower.stdout.readline())["message"] == "new"
            follower.terminate()
        assert follower.returncode != 0
