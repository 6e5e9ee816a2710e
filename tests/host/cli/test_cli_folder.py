"""Output of the command line for a folder, in 80 columns, and its commands for dead letters.

Commands that serve, and the demo, are in test_cli and test_demo.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import perdure
from perdure.cli import main as cli
from perdure.cli.act import dead_letters_command as cli_dead_letters
from perdure.cli.look.status.sparkline import sparkline

if TYPE_CHECKING:
    from pathlib import Path

BAD = [1, 4, 6]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cli, cli_dead_letters):
        monkeypatch.setattr(module, "console", Console(width=80))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log with completed, dead, paused and waiting messages, made with the options that the command line uses."""
    system = perdure.System(tmp_path / "data")

    @system.handler(int, retries=1, backoff=0.0)
    def check(number: int, context: perdure.Context) -> None:
        if number in BAD:
            raise ValueError(f"number {number} is bad")
        context.publish(f"receipt {number}")

    with system:
        for number in range(8):
            system.publish(number, id=f"n{number}")
        idle = threading.Event()
        while not idle.wait(0.01):
            counts = system.admin.metrics()
            if counts.completed + counts.dead_letters == 8:
                idle.set()
        system.admin.pause(int)
    return tmp_path / "data"


def invoke(*args: str | Path, status: int = 0, answer: str | None = None) -> str:
    done = CliRunner().invoke(cli.app, [str(arg) for arg in args], input=answer)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert status == 1, repr(done.exception)
        assert isinstance(done.exception, perdure.PerdureError)  # `main` makes it one line and status 1; see test_cli
        return str(done.exception)
    assert done.exit_code == status, done.output
    if "show" not in args:  # a traceback is left as it is, to be copied
        assert all(len(line) <= 80 for line in done.stdout.splitlines())
    return done.output


def unwrapped(output: str) -> str:
    """Return output as one line: where it is wrapped depends on the length of the folder's name."""
    return " ".join(output.split())


def test_stats_tell_types_backlog_throughput_and_reasons(folder: Path) -> None:
    lines = invoke("stats", folder).splitlines()
    by_type = {name: lines[lines.index(name) + 1].split() for name in ("int", "str", "all types")}
    assert by_type["int"] == ["-", "-", "-", "-", "3", "8", "5", "6"]
    assert by_type["str"] == ["5", "-", "-", "-", "-", "5", "-", "-", "████████"]
    assert by_type["all types"] == ["5", "-", "-", "-", "3", "13", "5", "6"]
    text = "\n".join(lines)
    assert "PAUSED: int" in text
    drawn = {line.split()[0]: line.split()[1] for line in lines if line.startswith(("published ", "completed "))}
    assert {name: len(letters) for name, letters in drawn.items()} == {"published": 40, "completed": 40}
    assert all("█" in letters for letters in drawn.values())
    assert "│     3 │ ████████████████████ │" in text
    assert "failed # times: ValueError" in text


def test_stats_of_an_empty_log_and_of_no_folder(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "new"):
        pass
    assert "no message was ever published in this folder" in unwrapped(invoke("stats", tmp_path / "new"))
    assert "cannot be read" in invoke("stats", tmp_path / "absent", status=1)
    assert not (tmp_path / "absent").exists()


def test_timeline_shows_events_in_order_with_what_the_handler_published(folder: Path) -> None:
    output = invoke("timeline", folder, "n2")
    rows = [line.split() for line in output.splitlines() if " +" in line]
    assert [row[4] for row in rows] == ["Published", "Leased", "Published", "Completed"]
    assert "published by its handler" in unwrapped(output)
    dead = invoke("timeline", folder, "n4")
    assert "the last: DeadLettered" in dead
    assert "exception ValueError" in dead


def test_dead_letters_are_listed_shown_and_chosen(folder: Path) -> None:
    assert invoke("dead-letters", "list", folder).splitlines()[0] == "3 of 3 dead letters, newest first"
    found = invoke("dead-letters", "list", folder, "--reason", "NUMBER 4")
    assert "1 of 3" in found
    assert "ValueError: number 4" in found
    assert "0 of 3" in invoke("dead-letters", "list", folder, "--type", "str")
    shown = invoke("dead-letters", "show", folder, "n4")
    assert "attempt   2" in shown
    assert "raise ValueError" in shown
    assert "is not a dead letter" in invoke("dead-letters", "show", folder, "n0", status=1)


def test_dead_letters_are_replayed_and_purged_on_record(folder: Path) -> None:
    """Scenarios 25 and 26: the command delivers nothing, and the application handles the messages when it runs again."""
    assert "name one ID" in invoke("dead-letters", "replay", folder, status=1)
    assert "name one ID" in invoke("dead-letters", "replay", folder, "n1", "--all", status=1)
    assert "1 back in the queue" in invoke("dead-letters", "replay", folder, "n1")
    assert "1 back in the queue" in invoke("dead-letters", "replay", folder, "--reason", "number 4")
    invoke("dead-letters", "purge", folder, status=1, answer="n\n")
    now = perdure.Audit(folder).state_at(10**9)
    assert (now.dead_letters, now.replayed, now.purged, now.ready) == (1, 2, 0, 7)
    assert "0 removed" in invoke("dead-letters", "purge", folder, "--older-than-days", "1", "--yes")
    assert "1 removed" in invoke("dead-letters", "purge", folder, answer="y\n")
    assert invoke("dead-letters", "list", folder).strip() == "no dead letters"
    assert [record.name for record in perdure.Audit(folder).timeline("n6")][-1] == "Purged"


def test_replay_needs_the_folder_for_itself_and_makes_no_new_one(folder: Path, tmp_path: Path) -> None:
    """Scenario 37 on the command line."""
    with perdure.System(folder):
        assert "is in use by" in invoke("dead-letters", "replay", folder, "--all", status=1)
        assert "3 of 3" in invoke("dead-letters", "list", folder)
    assert "cannot be read" in invoke("dead-letters", "replay", tmp_path / "typo", "--all", status=1)
    (tmp_path / "empty").mkdir()
    assert "holds no log" in invoke("dead-letters", "purge", tmp_path / "empty", "--yes", status=1)
    assert list((tmp_path / "empty").iterdir()) == []


def test_dropped_history_is_shown(tmp_path: Path) -> None:
    options = perdure.Options(segment_bytes=4096, history="drop")
    with perdure.System(tmp_path / "data", options=options) as system:
        for _ in range(3):
            system.publish_many([f"{n} {'x' * 50} {n * n}" for n in range(400)])
            system.admin.snapshot()
    first = perdure.Audit(tmp_path / "data").first_seq
    assert first > 1
    assert f"history kept from {first:,} on" in unwrapped(invoke("stats", tmp_path / "data"))
    assert perdure.Audit(tmp_path / "data").verify().first_seq == first


def test_sparklines() -> None:
    assert sparkline([]) == ""
    assert sparkline([5, 5, 5]) == "▁▁▁"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 8], floor=0) == "▄█"
    assert sparkline([1, 3] * 50, width=10) == "▁" * 10
    assert len(sparkline(list(range(1000)), width=24)) == 24


def test_an_operators_command_forgets_no_id_that_the_host_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command does not know the host's `finished_max`, and takes a snapshot when it stops."""
    folder, options = tmp_path / "data", perdure.Options(finished_max=2_000_000)
    with perdure.System(folder, options=options) as system:
        system.publish_many(["text"] * 40, ids=[f"host-{n}" for n in range(40)])
        while (delivery := system.checkout(str)) is not None:
            delivery.reject("no")
    most: list[int] = []

    def recording(*args: Any, **named: Any) -> perdure.System:
        made = perdure.System(*args, **named)
        most.append(made.options.finished_max)
        return made

    monkeypatch.setattr("perdure.cli.operated_folder.System", recording)
    assert CliRunner().invoke(cli.app, ["dead-letters", "purge", str(folder), "--yes"]).exit_code == 0
    assert most[0] > options.finished_max
    with perdure.System(folder, options=options) as system:
        assert system.admin.metrics().ids_forgotten == 0
        assert system.state("host-0").status == "purged"
