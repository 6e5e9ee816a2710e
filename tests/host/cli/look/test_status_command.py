"""`perdure status`: what it shows is true of a live log, and of one that no process runs; it follows the log as it grows."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.look.status import status_command
from perdure.cli.look.status.status_screen import handlers_table, screen
from perdure.cli.main import app
from perdure.cli.terminal import Terminal
from perdure.operations.metrics import HandlerInfo, ProcessInfo
from perdure.operations.watch import Status, TypeStatus, Watch, summed
from perdure.store import open_reader

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int
    note: str = ""


def status(folder: Path, *words: str) -> str:
    return CliRunner().invoke(app, ["status", str(folder), *words], catch_exceptions=False).output


def test_one_look_counts_what_is_where(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        assert "no message was ever published" in status(tmp_path / "q", "--once")
        system.publish_many([Order(n) for n in range(5)])
        system.publish(Order(5), delay=3600)
        delivery = system.checkout(Order)
        assert delivery is not None
        delivery.reject("no stock")
        system.admin.pause(Order)
        (row,) = json.loads(status(tmp_path / "q", "--json"))["types"]
        assert (row["type"], row["ready"], row["delayed"], row["dead"], row["paused"]) == ("Order", 4, 1, 1, True)
        assert row["workers"] is None
        assert 0 <= row["oldest_ready_s"] < PATIENCE_S
        shown = status(tmp_path / "q", "--once")
        assert "Order" in shown
        assert "paused" in shown


def test_a_stuck_group_is_told_with_the_message_that_holds_it_up(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        first, *_ = [system.publish(Order(n), group="depot 2") for n in range(4)]
        delivery = system.checkout(Order)
        assert delivery is not None
        now_us = time.time_ns() // 1000
        watch = Watch(open_reader(str(tmp_path / "q")))
        assert watch.look(now_us).stuck == ()
        seen = watch.look(now_us + 60_000_000)
        (group,) = seen.stuck
        assert (group.name, group.waiting, group.head, group.head_type) == ("depot 2", 3, first, "Order")
        assert summed([seen, seen]).stuck == (group, group)
        out = io.StringIO()
        Terminal(file=out, width=80).print(screen("q", seen, {}, "", [], now_us=group.since_us + 60_000_000))
        assert f"Group 'depot 2': 3 wait for 60 s behind one message (being handled): Order {first}" in " ".join(
            out.getvalue().split()
        )


def test_a_disk_that_is_nearly_full_is_told_with_the_way_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with perdure.System(tmp_path / "q"):
        assert "nearly full" not in status(tmp_path / "q", "--once")
        monkeypatch.setattr(status_command, "_free_bytes", lambda _folder: 1 << 20)
        told = " ".join(status(tmp_path / "q", "--once").split())
        assert "1.0 MiB free on the disk the disk is nearly full: `perdure doctor FOLDER` says what to do" in told


def test_json_is_all_that_a_pipe_gets_of_a_long_log(tmp_path: Path) -> None:
    options = perdure.Options(snapshot_events=1_000_000)
    with perdure.System(tmp_path / "q", options=options) as system:
        system.publish_many([Order(n) for n in range(5)])
        told = looked_from_outside(tmp_path / "q")
    assert json.loads(told.stdout)["types"][0]["ready"] == 5
    assert "folding the log" in told.stderr


def looked_from_outside(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from perdure.cli import main, progress; progress.LINE_EVERY_S = -1.0; main.main()"  # as if each event took long
    command = [sys.executable, "-c", code, "status", str(folder), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)


def test_one_look_claims_no_rate(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.publish(Order(1))
    (row,) = (line for line in status(tmp_path / "q", "--once").splitlines() if "Order" in line)
    name, ready, _, unit, *others = row.split()
    assert (name, ready, unit) == ("Order", "1", "s"), "how many are ready, and for how long the oldest has been"
    assert set(others) == {"-", "none"}, "it takes two looks to know a rate"


def test_rates_are_of_the_time_between_two_looks(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.publish(Order(0))
        watch = Watch(open_reader(tmp_path / "q"))
        first = watch.look(1_000_000)
        assert first.total("published_per_s") == 0.0
        system.publish_many([Order(n) for n in range(10)])
        second = watch.look(3_000_000)
        assert (second.total("published_per_s"), second.total("ready")) == (5.0, 11)
        assert watch.look(4_000_000).total("published_per_s") == 0.0


def test_history_that_is_dropped_meanwhile_is_no_error(tmp_path: Path) -> None:
    options = perdure.Options(history="drop", segment_bytes=65_536, snapshots_kept=2)
    with perdure.System(tmp_path / "q", options=options) as system:
        system.publish(Order(0))
        watch = Watch(open_reader(tmp_path / "q"))
        watch.look(1)
        for _ in range(5):
            system.publish_many([Order(n, os.urandom(100).hex()) for n in range(1_000)])
            system.admin.snapshot()
        assert system.audit.first_seq > 2
        assert watch.look(2).total("ready") == 5_001


def test_the_screen_is_drawn_until_it_is_interrupted(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q") as system:
        system.publish(Order(0))
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "perdure", "status", str(tmp_path / "q"), "--every", "0.1"]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as shown:
            os.close(theirs)
            seen = b""
            while b"published" not in seen or b"Order" not in seen:
                seen += os.read(ours, 65_536)
            shown.terminate()
            while True:
                try:
                    if not os.read(ours, 65_536):
                        break
                except OSError:  # the other end is closed
                    break
        os.close(ours)
        assert shown.returncode != 0


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_names_of_types_are_never_broken(columns: int) -> None:
    names = ["shop.Order", "a.long.package.of.the.application.billing.events.InvoiceWasSent", "x" * 100]
    counts: dict[str, Any] = dict.fromkeys((field.name for field in attrs.fields(TypeStatus)), 0)
    types = tuple(TypeStatus(**counts | {"type": name, "ready": 12_345, "oldest_ready_s": 75.0}) for name in names)
    process = ProcessInfo(name="worker.py 17", pid=17, workers=4, active=1, processed=0, failed=0)
    figures: dict[str, Any] = dict.fromkeys((field.name for field in attrs.fields(HandlerInfo)), 0) | {"processes": (process,) * 3}
    handlers = {name: HandlerInfo(**figures) for name in names}
    status = Status(seq=3, at_us=1, bytes=1, segments=1, snapshots=0, types=types)
    out = io.StringIO()
    Terminal(file=out, width=columns).print(screen("orders", status, {}, "", [handlers_table(handlers)], now_us=1))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    for name in names if columns > 100 else names[:2] if columns == 80 else names[:1]:
        assert sum(name in line for line in lines) == 2, "of its messages, and of its handler"
    if columns <= 100:
        assert sum(line.startswith("xxx") and line.endswith("xxx") and "…" in line for line in lines) == 2
    assert sum("12,345" in line and "1 min" in line for line in lines) == 3 or columns == 40
    assert max(map(len, lines)) <= columns
    if columns < 300:  # each figure says what it is: no heading stands apart from its figures
        assert "ready 12,345  oldest 1 min" in out.getvalue()
