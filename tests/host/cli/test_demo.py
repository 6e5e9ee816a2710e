"""The demo as a user runs it, in a process of its own that is killed by SIGKILL half-way; the test counts the results again.

The other commands are in test_cli.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from perdure.actors.workers.context import Reject
from perdure.demo.orders import OrderLine, Receipt, Receipts, lines, to_charge
from perdure.demo.runner import SHIPPED
from perdure.demo.tally import tally
from perdure.events import vocabulary as ev
from perdure.operations.audit import Audit

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.host.conftest import Commands

SMALL = ['{"id": "A", "amount": 3, "card": "4242"}', "no JSON", "", '{"id": "B", "card": "0002"}', '{"id": "C"}', "[1]"]


def receipts(work: Path) -> Counter[int]:
    return Counter(json.loads(text)["line"] for text in (work / "receipts.jsonl").read_text().splitlines())


@pytest.mark.long
def test_the_shipped_orders_all_arrive_once_though_actors_and_the_process_are_killed(tmp_path: Path, command: Commands) -> None:
    done = command("demo", "--folder", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    records = list(Audit(tmp_path / "run" / "log").events())
    dead = {r.event.published.id for r in records if isinstance(r.event, ev.DeadLettered)}
    written = receipts(tmp_path / "run")
    assert set(written.values()) == {1}
    assert len(written) + len(dead) == len(SHIPPED.read_text().splitlines()) == 3_000
    assert len({r.event.pid for r in records if isinstance(r.event, ev.Started)}) == 2
    restarts = [r.event for r in records if isinstance(r.event, ev.ActorRestarted)]
    assert len({(event.actor, event.deaths) for event in restarts}) >= 10
    assert {event.actor for event in restarts} >= {"journal", "queue", "dispatcher", "dead_letters", "timer"}
    assert any(isinstance(r.event, ev.AttemptFailed) and r.event.due_us for r in records)
    for output in ("line 417", "killed the process", "lost", "doubled", "verify", "AttemptFailed"):
        assert output in done.stdout


@pytest.fixture(scope="module")
def piped(command: Commands, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run over a few lines from the standard input, and its folder."""
    work = tmp_path_factory.mktemp("demo") / "run"
    return work, command("demo", "-", "--folder", str(work), "--kills", "2", stdin="\n".join(SMALL))


@pytest.mark.xdist_group("demo")
def test_malformed_lines_are_named_by_number_and_are_never_fatal(piped: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    work, done = piped
    assert done.returncode == 0, done.stdout + done.stderr
    assert "orders from standard input" in done.stdout
    assert receipts(work) == {1: 1, 5: 1}
    for output in ("line 2: not JSON", "line 4: card declined", "line 6: a JSON object is needed"):
        assert output in done.stdout


@pytest.mark.xdist_group("demo")
def test_the_judgement_sees_a_lost_and_a_doubled_receipt(
    tmp_path: Path, piped: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    log = piped[0] / "log"
    source, output = tmp_path / "mine.jsonl", tmp_path / "receipts.jsonl"
    source.write_text("\n".join(SMALL))
    first, second = sorted((piped[0] / "receipts.jsonl").read_text().splitlines(keepends=True))
    for text, lost, doubled in ((first + second, 0, 0), (first, 1, 0), (first + second + second, 0, 1)):
        output.write_text(text)
        found = tally(log, source, output)
        assert (found.lost, found.doubled, found.ok) == (lost, doubled, not lost and not doubled)


@pytest.mark.long(seconds=3)
def test_empty_file_is_accepted(tmp_path: Path, command: Commands) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    done = command("demo", str(tmp_path / "empty.jsonl"), "--folder", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "orders from empty.jsonl" in done.stdout


def test_a_folder_in_use_and_a_missing_file_are_refused(tmp_path: Path, command: Commands) -> None:
    (tmp_path / "mine").write_text("precious")
    for args in (["--folder", str(tmp_path)], [str(tmp_path / "absent.jsonl")]):
        done = command("demo", *args)
        assert done.returncode == 1
        assert done.stderr.startswith("perdure: ")
        assert "Traceback" not in done.stderr
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_receipt_is_written_once_though_its_writer_died_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for _ in range(2):
        out = Receipts(path)
        out.write(Receipt(1, "A", 3.0))
        out.write(Receipt(1, "A", 3.0))
        out.close()
        with path.open("ab") as file:
            file.write(b'{"line": 2, "or')
    out = Receipts(path)
    out.write(Receipt(2, "B", 1.0))
    out.close()
    assert [json.loads(text)["line"] for text in path.read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize("text", ["{", "7", '{"amount": -1}', '{"amount": NaN}', '{"amount": true}', "[" * 100_000, "1" * 100_001])
def test_line_that_is_not_an_order_is_rejected_with_its_number(text: str) -> None:
    with pytest.raises(Reject, match=r"^line 9: "):
        to_charge(OrderLine(9, text))


def test_bytes_that_are_not_text_are_still_lines(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"\xff\xfe\n\n{}\r\n")
    assert [line.line for line in lines(path)] == [1, 3]
