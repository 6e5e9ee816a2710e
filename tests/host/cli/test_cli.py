"""Commands of the command line, each in a process of its own: their output and exit status.

The demo is in test_demo.
"""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.events import vocabulary as ev
from tests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Commands

HOST = """
import perdure
system = perdure.System("data")
other = 7
@system.handler(int)
def count(number, ctx):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with perdure.System(tmp_path / "data") as system:
        system.publish({"order": 1}, id="first")
    return tmp_path / "data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_serves_a_system_until_it_is_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "shop.py").write_text(HOST)
    args = ["-m", "perdure.cli.main", "run", "shop:system"]
    with Program(args, stdout=subprocess.PIPE, cwd=tmp_path, env={"PYTHONUNBUFFERED": "1"}) as served:
        assert served.stdout is not None
        assert "shop:system runs" in served.stdout.readline()
        served.send_signal(number)
        rest, _ = served.communicate(timeout=30)
    assert served.returncode == 0
    assert "stopped" in rest
    assert any(isinstance(record.event, ev.Stopped) for record in perdure.Audit(tmp_path / "data").events())


SIGNALLED_AT_EACH_LINE = (
    HOST
    + """
import os, signal, sys
def at_each_line(frame, event, arg):
    if event == "line":
        os.kill(os.getpid(), signal.SIGTERM)
    return at_each_line
def trace(frame, event, arg):
    waits = frame.f_code.co_name == "came_within" or frame.f_back is not None and frame.f_back.f_trace is at_each_line
    return at_each_line if waits else None
sys.settrace(trace)
"""
)


def test_run_stops_at_whichever_instruction_the_signal_arrives(tmp_path: Path) -> None:
    """It also stops while it begins to wait for a signal: an Event would wait for ever for a lock that its own thread holds."""
    (tmp_path / "shop.py").write_text(SIGNALLED_AT_EACH_LINE)
    args = ["-m", "perdure.cli.main", "run", "shop:system"]
    with Program(args, stdout=subprocess.PIPE, cwd=tmp_path, env={"PYTHONUNBUFFERED": "1"}) as served:
        try:
            assert served.stdout is not None
            assert "shop:system runs" in served.stdout.readline()
            rest, _ = served.communicate(timeout=30)
        finally:
            served.kill()
    assert (served.returncode, "stopped" in rest) == (0, True)


BUSY = """
import time
import perdure
system = perdure.System("data")
@system.handler(int)
def count(number, ctx):
    print("begun", flush=True)
    time.sleep(0.5)
    print("done", flush=True)
"""


def test_run_lets_a_handler_finish_when_it_is_asked_to_stop(tmp_path: Path) -> None:
    """Scenario 49: messages in flight complete within the grace period, and the others wait."""
    with perdure.System(tmp_path / "data") as system:
        system.publish_many([1, 2, 3])
    (tmp_path / "busy.py").write_text(BUSY)
    args = ["-m", "perdure.cli.main", "run", "busy:system"]
    with Program(args, stdout=subprocess.PIPE, cwd=tmp_path) as served:
        assert served.stdout is not None
        for line in served.stdout:
            if line == "begun\n":
                served.send_signal(signal.SIGTERM)
                break
        rest, _ = served.communicate(timeout=30)
    assert served.returncode == 0
    assert "done" in rest
    with perdure.System(tmp_path / "data") as system:
        assert system.recovery is not None
        assert (system.recovery.in_flight_taken_back, system.recovery.contradictions) == (0, ())
        now = system.admin.metrics()
        assert now.completed >= 1
        assert now.completed + now.ready == 3


@pytest.mark.parametrize(
    ("target", "expected"),
    [("shop", "module:attribute"), ("absent:system", "no module"), ("shop:other", "not a perdure"), ("shop:gone", "not a perdure")],
)
def test_run_says_what_is_wrong_with_a_target(tmp_path: Path, command: Commands, target: str, expected: str) -> None:
    (tmp_path / "shop.py").write_text(HOST)
    done = command("run", target, cwd=tmp_path)
    assert done.returncode == (2 if target == "shop" else 1)
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_distinguishes_a_whole_folder_from_a_damaged_one(folder: Path, command: Commands) -> None:
    whole = command("verify", str(folder), cwd=folder)
    assert (whole.returncode, whole.stdout.partition(":")[0]) == (0, "whole")
    segment = max(folder.iterdir(), key=lambda path: (path.name != "lock" and "snap" not in path.name, path.stat().st_size))
    body = bytearray(segment.read_bytes())
    body[len(body) // 2] ^= 1
    segment.write_bytes(body)
    damaged = command("verify", str(folder), cwd=folder)
    assert damaged.returncode == 1
    assert "DAMAGED" in damaged.stdout


def test_timeline_and_stats_show_what_the_log_says(folder: Path, command: Commands) -> None:
    output = command("timeline", str(folder), "first", cwd=folder)
    assert output.returncode == 0
    assert "Published" in output.stdout
    assert "published" in command("stats", str(folder), cwd=folder).stdout
    absent = command("timeline", str(folder), "nobody", cwd=folder)
    assert absent.returncode == 5
    assert absent.stderr.startswith("perdure: no message 'nobody'")
    assert command("verify", str(folder / "absent"), cwd=folder).returncode == 1
