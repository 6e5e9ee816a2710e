"""SIGKILL of a whole process at seeded moments under load and by its own handler, and the check of what is left.

The process is `process_under_load.py`. Kills of single actors are in `test_actor_kills`.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from tests.programs import Program

if TYPE_CHECKING:
    from tests.chaos.conftest import Census

ROUNDS = int(os.environ.get("PERDURE_ROUNDS", "20"))
SCRIPT = Path(__file__).with_name("process_under_load.py")
SIGKILLED = -9
TIMEOUT_S = 60.0


@attrs.frozen
class Task:
    name: str


def start(folder: Path, run: str, seconds: float) -> Program:
    command = [str(SCRIPT), str(folder / "data"), str(folder), run, str(seconds)]
    return Program(command, stdout=subprocess.PIPE)


def finish(folder: Path, run: str = "last") -> int:
    with start(folder, run, 0.0) as child:
        try:
            child.communicate(timeout=TIMEOUT_S)
        finally:
            child.kill()
    return child.wait()


def notes(folder: Path, name: str) -> list[str]:
    return (folder / name).read_text().split()


@pytest.mark.long
def test_process_is_killed_at_random_moments(tmp_path: Path, census: Census) -> None:
    """Scenarios 29 and 36: what `publish` returned survives any number of kills; no message and no number is there twice."""
    rng = random.Random(29)
    for n in range(ROUNDS):
        with start(tmp_path, str(n), TIMEOUT_S) as child:
            assert child.stdout is not None
            # Every fourth process is killed during its recovery, the others under load.
            if n % 4:
                assert child.stdout.readline().startswith("started")
            time.sleep(rng.random() * 0.4)  # the schedule itself
            assert child.poll() is None, "the process ended by itself"
            child.kill()
    assert finish(tmp_path) == 0
    audit = perdure.Audit(tmp_path / "data")
    assert audit.verify().ok
    acknowledged = notes(tmp_path, "ack")
    assert len(acknowledged) > ROUNDS
    census(audit, notes(tmp_path, "sent"), acknowledged, notes(tmp_path, "handled"))


def test_a_message_that_kills_its_process_is_dead_lettered(tmp_path: Path, census: Census) -> None:
    """Scenario 51: each of three attempts kills its process; then the message is a dead letter, and the others are done."""
    deaths = 0
    for run in ("poison", "again", "again", "again", "again"):
        code = finish(tmp_path, run)
        if code == 0:
            break
        assert code == SIGKILLED
        deaths += 1
    assert deaths == 3
    with perdure.System(tmp_path / "data") as system:
        (letter,) = system.dead_letters.list()
        assert (letter.id, letter.attempts) == ("poison", 3)
        assert [failure.message for failure in letter.failures] == ["its process died"] * 3
        assert system.admin.metrics().completed == 20
    handled = notes(tmp_path, "handled")
    assert handled.count("poison") == 3
    assert {f"beside-{n}" for n in range(20)} < set(handled)
    census(perdure.Audit(tmp_path / "data"), notes(tmp_path, "sent"), notes(tmp_path, "ack"), handled)


def test_a_second_process_is_refused_and_a_dead_owner_is_not(tmp_path: Path) -> None:
    """Scenarios 37 and 55: `StoreLocked` names the owner's pid; after kill -9 nothing blocks the next process."""
    with start(tmp_path, "owner", TIMEOUT_S) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("started")
        with pytest.raises(perdure.StoreLocked, match=str(child.pid)):
            perdure.System(tmp_path / "data").start()
        child.kill()
    with perdure.System(tmp_path / "data") as system:
        assert system.recovery is not None
        assert system.recovery.last_seq > 0


def waiting(folder: Path, count: int) -> perdure.System:
    system = perdure.System(folder)
    with system:
        for n in range(count):
            system.publish(Task(str(n)), id=str(n), key=f"key-{n}", delay=3600.0 if n % 2 else None)
        system.admin.pause(Task)
    return system


def test_close_and_open_again(tmp_path: Path) -> None:
    """Scenarios 28 and 57: ready and delayed messages are as before; recovery reports that the snapshot was enough."""
    waiting(tmp_path / "data", 6)
    with perdure.System(tmp_path / "data") as system:
        now = system.admin.metrics()
        report = system.recovery
        assert (now.ready + now.held, now.delayed) == (3, 3)
        assert report is not None
        assert (report.waiting, report.in_flight_taken_back, report.cut_bytes) == (6, 0, 0)
        assert report.snapshot_seq > 0
        # The waiting message still has the key: the newer one replaces it.
        newer = system.publish(Task("newer"), key="key-0")
        assert [type(r.event).__name__ for r in system.audit.events(message_id="0")][-1] == "Superseded", newer


@pytest.mark.parametrize("harm", ["truncated", "zeroed", "flipped"])
def test_a_bad_snapshot_gives_the_same_state(tmp_path: Path, harm: str) -> None:
    """Scenarios 30 and 31: from an older snapshot, or none, the state is that of a replay of the whole log."""
    folder = tmp_path / "data"
    waiting(folder, 6)
    newest = max(folder.rglob("*.snap*"), key=lambda path: path.name)
    body = newest.read_bytes()
    middle = len(body) // 2
    newest.write_bytes(
        {
            "truncated": body[:middle],
            "zeroed": bytes(len(body)),
            "flipped": body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :],
        }[harm]
    )
    with perdure.System(folder) as system:
        assert system.recovery is not None
        assert system.recovery.snapshot_seq == 0
        assert system.recovery.waiting == 6


def test_a_torn_end_is_cut_and_a_flip_in_the_middle_is_not(tmp_path: Path) -> None:
    """Scenarios 32 and 33: a torn last frame is cut off; on damage in the middle the system does not start."""
    folder = tmp_path / "data"
    waiting(folder, 6)
    segment = max(folder.rglob("*.seg*"), key=lambda path: path.name)
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    with perdure.System(folder) as system:
        assert system.recovery is not None
        assert system.recovery.waiting == 6
    whole = segment.read_bytes()
    middle = len(whole) // 3
    segment.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(perdure.StoreCorrupt, match=segment.name):
        perdure.System(folder).start()
    assert not perdure.Audit(folder).verify().ok
