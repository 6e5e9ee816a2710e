"""Commands that act on a folder: through its owner where there is one, else by themselves; each act is on record."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int
    note: str = ""


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "250"})
    error = "" if result.exception is None or isinstance(result.exception, SystemExit) else repr(result.exception)
    assert result.exit_code == code, f"{result.output} {error}"
    return result.output + error


def handled(folder: Path, *, shared: bool) -> tuple[perdure.System, list[Order], threading.Event]:
    system, seen, woken = perdure.System(folder, shared=shared), [], threading.Event()

    @system.handler(Order)
    def handle(order: Order) -> None:
        if order.number < 0:
            raise perdure.Reject("below zero")
        seen.append(order)
        woken.set()

    return system, seen, woken


@pytest.fixture(params=["live", "at rest"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder with one handler and one dead letter, with and without a process that owns it."""
    system, _, _ = handled(tmp_path / "q", shared=True)
    with system:
        system.publish(Order(-1), id="bad")
        system.drain(timeout=60)
        if request.param == "live":
            yield tmp_path / "q"
            return
    yield tmp_path / "q"


def test_pause_scale_configure_and_resume(folder: Path) -> None:
    run("pause", folder, "Order", "--by", "ann", "--why", "a wrong deploy")
    run("scale", folder, "Order", 3, "--by", "ann")
    run("configure", folder, "Order", "timeout=30", "retries=inf", "rate=100/s", "lease=none", "--by", "ann")
    run("resume", folder, "--by", "ann")
    run("snapshot", folder, "--by", "ann")
    acts = [(act.action, act.principal, act.reason) for act in perdure.Audit(folder).acts()]
    assert acts == [
        ("pause", "ann", "a wrong deploy"),
        ("scale", "ann", ""),
        ("configure", "ann", ""),
        ("resume", "ann", ""),
        ("snapshot", "ann", ""),
    ]
    changed = [r.event for r in perdure.Audit(folder).events() if isinstance(r.event, ev.Reconfigured)]
    assert [(event.changes["timeout_s"], event.changes["retries"]) for event in changed] == [(30.0, -1)]


def test_a_type_that_nothing_here_has_is_named_but_not_refused(folder: Path) -> None:
    for act, *fields in (("pause",), ("resume",), ("publish", "{}")):
        said = run(act, folder, "Ordr", *fields)
        assert "no message of type 'Ordr' was published, and no handler registered; here are: Order" in said
    assert "note" not in run("pause", folder, "Order") + run("resume", folder) + run("publish", folder, "Ordr", "{}")


def test_a_published_message_is_handled(tmp_path: Path) -> None:
    system, seen, woken = handled(tmp_path / "q", shared=True)
    with system:
        ident = run("publish", tmp_path / "q", "Order", json.dumps({"number": 7, "note": "by hand"}), "--id", "one").strip()
        run("publish", tmp_path / "q", "Order", json.dumps({"number": 7, "note": "by hand"}), "--id", "one")
        assert woken.wait(60)
        system.drain(timeout=60)
    assert (ident, seen) == ("one", [Order(7, "by hand")])


def test_what_is_published_at_rest_is_handled_at_the_next_start(tmp_path: Path) -> None:
    system, seen, _ = handled(tmp_path / "q", shared=False)
    with system:
        pass
    run("publish", tmp_path / "q", "Order", '{"number": 8}', "--delay", "0")
    system, seen, woken = handled(tmp_path / "q", shared=False)
    with system:
        assert woken.wait(60)
    assert seen == [Order(8)]


def test_a_message_is_cancelled_once(folder: Path) -> None:
    run("pause", folder)
    run("publish", folder, "Order", '{"number": 9}', "--id", "nine")
    assert "cancelled" in run("cancel", folder, "nine", "--by", "ann")
    assert "has ended already" in run("cancel", folder, "nine", code=1)
    assert "no message 'unknown' is known" in run("cancel", folder, "unknown", code=1)  # 5 in a shell


def test_dead_letters_are_edited_and_replayed(tmp_path: Path) -> None:
    system, seen, woken = handled(tmp_path / "q", shared=True)
    with system:
        system.publish(Order(-1), id="bad")
        system.drain(timeout=60)
        mended = json.dumps({"number": 1, "note": "mended"})
        run("dead-letters", "edit", tmp_path / "q", "bad", mended, "--by", "ann", "--why", "typing error")
        assert woken.wait(60)
        system.drain(timeout=60)
    assert seen == [Order(1, "mended")]
    (act,) = perdure.Audit(tmp_path / "q").acts()
    assert (act.action, act.subject, act.principal, act.reason) == ("edit", "bad", "ann", "typing error")


def test_dead_letters_are_replayed_and_purged(folder: Path) -> None:
    assert "1 back" in run("dead-letters", "replay", folder, "bad")
    run("pause", folder)
    assert [act.action for act in perdure.Audit(folder).acts()][:1] == ["replay"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("publish", "Order", "7"), "JSON object"),
        (("publish", "Order", "{"), "no JSON"),
        (("publish", "Order", '{"a": 1e999}'), "JSON has no infinity"),
        (("publish", "Order", '{"a": [-1e999]}'), "JSON has no infinity"),
        (("publish", "Order", '{"a": NaN}'), "NaN is no number of JSON"),
        (("publish", "Order", '{"a": -Infinity}'), "-Infinity is no number of JSON"),
        (("configure", "Order", "timeout=1e999"), "JSON has no infinity"),
        (("publish", "Order", '{"not a name": 1}'), "fields"),
        (("configure", "Order", "timeout"), "OPTION=VALUE"),
        (("configure", "Order", "timeout=soon"), "timeout"),
        (("configure", "Order", "colour=red"), "colour"),
        (("scale", "Unknown", "1"), "Unknown"),
    ],
)
def test_wrong_arguments_say_what_to_do(folder: Path, words: tuple[str, ...], says: str) -> None:
    assert says in run(words[0], folder, *words[1:], code=1)


def test_a_folder_of_an_owner_that_takes_nothing_from_others_is_in_use(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q"):
        assert "in use" in run("pause", tmp_path / "q", code=1)


def test_a_mistyped_folder_is_not_created(tmp_path: Path) -> None:
    run("pause", tmp_path / "none", code=1)
    assert not (tmp_path / "none").exists()


def test_each_act_says_as_json_what_it_did(folder: Path) -> None:
    """One object on one line, named by `act`."""

    def said(*words: object, code: int = 0) -> dict[str, object]:
        shown: dict[str, object] = json.loads(run(*words, "--json", code=code))
        return shown

    assert said("pause", folder) == {"act": "pause", "type": None, "paused": True}
    assert said("scale", folder, "Order", 3) == {"act": "scale", "type": "Order", "workers": 3}
    options = {"retries": "inf", "lease": None, "timeout": 30}
    assert said("configure", folder, "Order", "retries=inf", "lease=none", "timeout=30")["options"] == options
    published = ("publish", folder, "Order", '{"number": 9}', "--id", "nine", "--delay", "3600")
    assert said(*published) == {"act": "publish", "id": "nine", "type": "Order"}
    assert said("run-now", folder, "nine") == {"act": "run-now", "id": "nine", "schedule": None}
    assert said("cancel", folder, "nine") == {"act": "cancel", "id": "nine", "cancelled": True}
    assert said("cancel", folder, "nine", code=1) == {"act": "cancel", "id": "nine", "cancelled": False}
    assert said("resume", folder, "Order") == {"act": "resume", "type": "Order", "paused": False}
    assert isinstance(said("snapshot", folder)["seq"], int)
