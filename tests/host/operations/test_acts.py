"""Operators' acts are on record: what was asked, what it changed, who asked, from where and why, in the commit of the effect."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from perdure.events.codec.wire import decode_runs
from perdure.events.runs import expand
from perdure.store import open_reader

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Order:
    number: int


def fail(_order: Order, _ctx: perdure.Context) -> None:
    raise perdure.Reject("no stock")


def acts_of(folder: Path) -> list[tuple[str, str, int, str, str]]:
    return [(a.action, a.subject, a.count, a.principal, a.reason) for a in perdure.Audit(folder).acts()]


def test_each_act_says_who_what_and_why(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.handler(Order)(fail)
        with perdure.acting_as("ann", reason="ticket 7"):
            system.admin.pause(Order)
            system.admin.scale(Order, 2)
            system.admin.configure(Order, retries=1)
            ident = system.publish(Order(1))
            system.cancel(ident)
            system.admin.resume()
            system.admin.snapshot()
        bad = [system.publish(Order(n)) for n in range(3)]
        system.drain(timeout=60)
        with perdure.acting_as("bob"):
            system.dead_letters.replay(bad[0])
            system.drain(timeout=60)
            assert system.dead_letters.replay_all(type=Order) == 3
            system.drain(timeout=60)
            assert system.dead_letters.purge(type=Order) == 3
    name = perdure.System(tmp_path / "other").drafts.names.of(Order)
    assert acts_of(tmp_path / "q") == [
        ("pause", name, 1, "ann", "ticket 7"),
        ("scale", name, 1, "ann", "ticket 7"),
        ("configure", name, 1, "ann", "ticket 7"),
        ("cancel", ident, 1, "ann", "ticket 7"),
        ("resume", "", 1, "ann", "ticket 7"),
        ("snapshot", "", 0, "ann", "ticket 7"),
        ("replay", bad[0], 1, "bob", ""),
        ("replay all", f"type={name}", 3, "bob", ""),
        ("purge", f"type={name}", 3, "bob", ""),
    ]
    assert {act.origin for act in perdure.Audit(tmp_path / "q").acts()} == {"own process"}


def test_an_act_stands_in_the_frame_of_its_effect(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.handler(Order)(fail)
        system.admin.pause(Order)
        with perdure.acting_as("ann"):
            system.cancel(system.publish(Order(1)))
    frames = [
        [type(event).__name__ for _, events in decode_runs(frame.body, frame.count) for event in expand(events)]
        for frame in open_reader(tmp_path / "q").frames()
    ]
    for effect, act in (("Paused", "HandlersAdministered"), ("Cancelled", "MessagesAdministered")):
        assert [act in frame for frame in frames if effect in frame] == [True]


def test_an_act_that_changes_nothing_is_on_record_too(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.admin.pause()
        system.admin.pause()
    assert [(action, count) for action, _, count, *_ in acts_of(tmp_path / "q")] == [("pause", 1), ("pause", 0)]


def test_the_application_cancels_without_being_an_operator(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.cancel(system.publish(Order(1)))
    assert acts_of(tmp_path / "q") == []


def test_a_client_cannot_say_that_it_is_another_process(tmp_path: Path) -> None:
    with (
        perdure.System(tmp_path / "q", shared=True),
        perdure.connect(tmp_path / "q") as client,
        perdure.acting_as("ann", reason="night shift"),
    ):
        client.admin.pause()
    (act,) = perdure.Audit(tmp_path / "q").acts()
    assert (act.action, act.principal, act.reason) == ("pause", "ann", "night shift")
    assert act.origin == f"socket, uid {os.geteuid()}, process {os.getpid()}"


def test_the_timeline_of_a_message_shows_who_cancelled_it(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system, perdure.acting_as("ann"):
        ident = system.publish(Order(1))
        system.cancel(ident)
    names = [record.name for record in perdure.Audit(tmp_path / "q").timeline(ident)]
    assert names == ["Published", "Cancelled", "MessagesAdministered"]


@pytest.mark.parametrize(("principal", "reason"), [("", ""), (7, ""), ("a" * 1001, ""), ("ann", "r" * 1001), ("ann", None)])
def test_an_act_without_a_name_is_refused(principal: str, reason: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"principal|reason"), perdure.acting_as(principal, reason=reason):
        pass


def test_the_command_lists_acts(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system, perdure.acting_as("ann \x1b[31m", reason="deploy"):
        system.admin.pause()
        system.admin.resume()
    shown = CliRunner().invoke(app, ["acts", str(tmp_path / "q")], env={"COLUMNS": "200"}, catch_exceptions=False).output
    assert [word in shown for word in ("pause", "resume", "deploy", "own process", "ann")] == [True] * 5
    assert "\x1b[31m" not in shown
    assert "newest 1 of 2" in CliRunner().invoke(app, ["acts", str(tmp_path / "q"), "--limit", "1"]).output
    empty = tmp_path / "empty"
    with perdure.System(empty):
        pass
    assert "no operator has acted" in CliRunner().invoke(app, ["acts", str(empty)]).output
