"""Run now: a delayed message, or a tick of a schedule, is handled at once, on record with who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path


@perdure.message(name="now.Order")
@attrs.frozen
class Order:
    number: int


def acts_of(folder: Path) -> list[tuple[str, str, int, str]]:
    return [(act.action, act.subject, act.count, act.principal) for act in perdure.Audit(folder).acts()]


def test_a_delayed_message_and_a_tick_are_run_now_from_here_and_from_another_process(tmp_path: Path) -> None:
    folder, seen, ticks = tmp_path / "q", [], []
    system = perdure.System(folder, shared=True)
    system.handler(Order)(lambda order: seen.append(order.number))
    system.every(86_400, name="nightly")(lambda tick: ticks.append(tick.schedule))
    with system, perdure.connect(folder) as client, perdure.acting_as("ann"):
        first, second = system.publish(Order(1), delay=86_400), system.publish(Order(2), delay=86_400)
        assert system.admin.run_now(first) == first
        client.admin.run_now(second)
        made = [system.admin.run_now(schedule="nightly"), client.admin.run_now(schedule="nightly")]
        system.drain(timeout=60)
        assert (sorted(seen), ticks) == ([1, 2], ["nightly", "nightly"])
        assert all(system.state(ident).status == "completed" for ident in made)
        for ident, name in ((first, None), (None, "hourly")):
            with pytest.raises(perdure.UnknownMessage, match=r"does not wait|nightly"):
                client.admin.run_now(ident, schedule=name)
        with pytest.raises(perdure.InvalidMessage):
            system.admin.run_now()
    ran = [("run-now", name, 1, "ann") for name in (first, second, "nightly", "nightly")]
    assert acts_of(folder) == ran


def test_the_command_runs_a_delayed_message_of_a_folder_at_rest(tmp_path: Path) -> None:
    folder = tmp_path / "q"
    with perdure.System(folder) as system:
        ident = system.publish(Order(1), delay=86_400)
    words = ["run-now", str(folder), ident, "--by", "bob"]
    assert "handled as soon as" in CliRunner().invoke(app, words, catch_exceptions=False).output
    assert acts_of(folder) == [("run-now", ident, 1, "bob")]
    with perdure.System(folder) as system:
        assert system.state(ident).status == "ready"
