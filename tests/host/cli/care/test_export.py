"""`perdure export`: every format holds the events that are meant, beside a live system too, and no cut-off file looks whole."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
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
    customer: str = "anna"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten handled orders, one of them a dead letter."""
    folder = tmp_path_factory.mktemp("export") / "q"
    system = perdure.System(folder, options=perdure.Options(retries=0))

    @system.handler(Order)
    def handle(order: Order) -> None:
        if order.number == 3:
            msg = "no stock"
            raise LookupError(msg)

    with system:
        for number in range(10):
            system.publish(Order(number, 'bert "b", ä' if number == 7 else "anna"), id=f"o{number}", key=f"k{number}")
        system.drain(timeout=PATIENCE_S)
    return folder


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["export", *map(str, words)])
    if isinstance(result.exception, perdure.PerdureError):
        return f"refused: {result.exception}"
    assert result.exception is None, result.exception
    return " ".join(result.output.split())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def records(used: Path) -> list[perdure.Record]:
    return [*perdure.Audit(used).events()]


def test_json_lines_hold_every_event_with_its_payload(used: Path, tmp_path: Path) -> None:
    assert "exported" in run(used, "-o", tmp_path / "all.jsonl")
    rows = lines(tmp_path / "all.jsonl")
    assert [(row["seq"], row["event"], row["message_id"]) for row in rows] == [
        (record.seq, record.name, record.message_id) for record in records(used)
    ]
    seventh = next(row for row in rows if row["event"] == "Published" and row["message_id"] == "o7")
    assert seventh["data"]["payload"] == {"number": 7, "customer": 'bert "b", ä'}
    assert (seventh["type"], seventh["key"]) == ("Order", "k7")
    assert {row["type"] for row in rows if row["event"] == "Completed"} == {"Order"}
    dead = next(row for row in rows if row["event"] == "DeadLettered")
    assert dead["data"]["published"]["payload"]["number"] == 3


def test_a_table_has_a_column_for_what_is_asked_most(used: Path, tmp_path: Path) -> None:
    run(used, "--format", "csv", "-o", tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == len(records(used))
    assert json.loads(next(row["data"] for row in rows if row["message_id"] == "o7"))["payload"]["customer"] == 'bert "b", ä'


def test_cloud_events_have_what_the_standard_asks_for(used: Path, tmp_path: Path) -> None:
    run(used, "--format", "cloudevents", "-o", tmp_path / "all.json")
    events = lines(tmp_path / "all.json")
    assert len({(event["source"], event["id"]) for event in events}) == len(records(used))
    for event in events:
        assert event["specversion"] == "1.0"
        assert event["type"].startswith("perdure.")
        assert event["time"].endswith("Z")
        assert all(name.isalnum() and name.islower() for name in event)


def test_a_parquet_file_is_read_as_a_table(used: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run(used, "--format", "parquet", "-o", tmp_path / "all.parquet")
    table = parquet.read_table(tmp_path / "all.parquet")
    assert table["seq"].to_pylist() == [record.seq for record in records(used)]
    assert table["at"].to_pylist() == [record.at for record in records(used)]
    assert table["message_id"].to_pylist() == [record.message_id for record in records(used)]


@pytest.mark.parametrize(
    ("where", "ids"),
    [("payload.number>7", {"o8", "o9"}), ('error~"no stock"', {"o3"}), ("type=Order key=k1", {"o1"}), ("type=None", set())],
)
def test_only_the_messages_that_are_meant(used: Path, tmp_path: Path, where: str, ids: set[str]) -> None:
    run(used, "--where", where, "-o", tmp_path / "some.jsonl")
    found = [(row["seq"], row["message_id"]) for row in lines(tmp_path / "some.jsonl")]
    assert found == [(record.seq, record.message_id) for record in records(used) if record.message_id in ids]


def test_only_the_time_that_is_meant(used: Path, tmp_path: Path) -> None:
    run(used, "--since", 5, "--until", 9, "-o", tmp_path / "some.jsonl")
    assert [row["seq"] for row in lines(tmp_path / "some.jsonl")] == [5, 6, 7, 8, 9]


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(used: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    assert "refused" in run(used, "-o", tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "old"
    run(used, "--force", "-o", tmp_path / "kept")
    assert len(lines(tmp_path / "kept")) == len(records(used))
    assert "refused" in run(used, "-o", tmp_path / "no such folder" / "file")
    assert "refused" in run(used, "--format", "xml", "-o", tmp_path / "file")
    assert "refused" in run(used, "--where", "colour=red", "-o", tmp_path / "file")
    assert not (tmp_path / "file").exists()


EXPORTS = """
import sys, time, perdure
def slow(seq):
    print("under way", flush=True)
    time.sleep(60)
perdure.export(sys.argv[1], sys.argv[2], progress=slow)
"""


def test_an_export_that_is_killed_leaves_no_file_of_that_name(folder: Path, tmp_path: Path) -> None:
    with perdure.System(folder) as system:
        system.publish_many([Order(n) for n in range(2_000)])
        words = ["-c", EXPORTS, str(folder), str(tmp_path / "out")]
        child = Program(words, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == "under way\n"
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=PATIENCE_S)
        assert not (tmp_path / "out").exists()
        assert perdure.export(folder, tmp_path / "out").events >= 2_000
        assert time.time() - (tmp_path / "out").stat().st_mtime < PATIENCE_S


def test_payloads_that_json_cannot_hold_are_told_as_they_are(folder: Path, tmp_path: Path) -> None:
    with perdure.System(folder) as system:
        system.publish({"bytes": b"\xff\x00", "number": float("nan"), 5: [1]})
    perdure.export(folder, tmp_path / "out")
    row = next(row for row in lines(tmp_path / "out") if row["event"] == "Published")
    assert row["data"]["payload"] == {"bytes": {"base64": "/wA="}, "number": "nan", "5": [1]}
