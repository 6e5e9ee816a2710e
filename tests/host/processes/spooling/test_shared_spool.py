"""A shared System that spools: it starts and publishes while no process owns the folder, and each message is taken in once."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from tests.host.processes.clients.test_faults import suspend
from tests.host.processes.shop import Nap, Order, Quote, shop
from tests.host.processes.spooling.test_spool import spool_files, wait_until
from tests.host.processes.takeovers.test_takeover import role_of
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[[], Program]


def web_worker(folder: Path, **options: Any) -> perdure.System:
    """Make a System that publishes, handles naps, and never owns the folder."""
    system = perdure.System(folder, shared=True, ownership="never", spool=True, **options)
    system.handler(Nap)(lambda _: None)
    return system


def test_it_starts_and_publishes_before_there_is_an_owner_and_handles_when_there_is_one(folder: Path) -> None:
    with web_worker(folder) as worker:
        ids = [worker.publish(Order(1)), *worker.publish_many([Order(2), Nap(0)]), worker.submit(Order(3)).result(30)]
        assert len(spool_files(folder)) == 1
        assert role_of(worker) == "member"
        with perdure.System(folder, shared=True) as owner:
            owner.handler(Order)(lambda _: None)
            assert not spool_files(folder), "taken in before the start is over"
            worker.drain(30)
            assert all(worker.state(ident).status == "completed" for ident in ids)
            assert owner.admin.metrics().runtime_counters["spooled_messages_taken_in"] == 4
            assert set(owner.admin.handlers()["shop.Nap"].processes), "the naps were handled by the worker"
            worker.publish(Order(4))
            assert not spool_files(folder), "an owner that is there is asked itself"


def test_it_spools_when_the_owner_is_killed_and_goes_on_with_the_next(start: Start, folder: Path) -> None:
    process = start()
    with web_worker(folder) as worker:
        ids = [worker.publish(Order(1))]
        worker.drain(30)
        process.kill()
        process.wait()
        ids += [worker.publish(Order(n)) for n in range(2, 5)]
        assert spool_files(folder)
        start()
        ids.append(worker.publish(Order(5)))
        wait_until(lambda: worker.admin.metrics().published == 5)  # the last one may have been spooled too
        worker.drain(30)
        assert all(worker.state(ident).status == "completed" for ident in ids)


def test_what_it_spooled_is_taken_in_once_when_it_becomes_the_owner_itself(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.processes.to_owner.waiting.SPOOL_SILENT_S", 0.3)
    process = start()
    with shop(str(folder), spool=True) as member:
        assert role_of(member) == "member"
        suspend(process.pid)
        futures = [member.submit(Order(n), group="in order") for n in range(50)]
        ids = [future.result(30) for future in futures]
        assert spool_files(folder), "an owner that is stopped does not hold up what is published"
        process.kill()
        ids += [member.publish(Order(n), group="in order") for n in range(50, 60)]
        wait_until(lambda: role_of(member) == "owner")
        member.drain(30)
        wait_until(lambda: not spool_files(folder))
        assert member.admin.metrics().published == 60
        order = [str(record.message_id) for record in member.audit.events() if record.name == "Leased"]
        assert order == ids, "what was published later is not handled before what was spooled"


def test_the_policy_of_a_key_that_it_does_not_know_is_left_to_the_owner(folder: Path) -> None:
    owner = perdure.System(folder, shared=True)
    owner.handler(Quote, dedup="reject")(lambda quote: quote.number)
    with owner:
        held = owner.publish(Quote(1), key="k", delay=1000)
    with web_worker(folder) as worker:
        refused = worker.publish(Quote(2), key="k")
        with owner:
            (letter,) = worker.dead_letters.list()
            assert letter.id == refused
            assert held in letter.reason


def test_without_an_owner_all_that_needs_one_waits_and_stopping_does_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.processes.member.OWNER_WAIT_S", 0.3)
    with web_worker(folder) as worker, pytest.raises(perdure.NotRunning, match="no process owns"):
        worker.admin.metrics()
    with web_worker(folder) as worker:
        ident = worker.submit(Order(1))
    assert ident.result(0), "what was published is spooled before it is gone"
    with shop(str(folder)) as system:
        assert system.state(ident.result()).status in {"ready", "leased", "completed"}


def test_it_is_for_shared_folders() -> None:
    with pytest.raises(TypeError, match="shared=True"):
        perdure.System("somewhere", spool=True)
    with pytest.raises(TypeError, match="spool: True or False"):
        perdure.System("somewhere", shared=True, spool=1)  # type: ignore[arg-type]  # wrong on purpose


PUBLISHER = """
import sys
import perdure
from tests.host.processes.shop import Order, shop
make = shop if sys.argv[3] == "auto" else lambda folder, **more: perdure.System(folder, shared=True, **more)
with make(sys.argv[1], ownership=sys.argv[3], spool=True) as system, open(sys.argv[2], "w") as told:
    print("up", flush=True)
    for n in range(10**9):
        ids = [system.publish(Order(n)), *system.publish_many([Order(n)] * 3), system.submit(Order(n)).result(60)]
        told.write("".join(f"{i}\\n" for i in ids))
        told.flush()
"""
KILLS = int(os.environ.get("PERDURE_TEST_SPOOL_KILLS", "4"))


@pytest.mark.long(seconds=20)
@pytest.mark.timeout(600)
def test_kills_of_those_that_take_over_and_those_that_never_do_lose_nothing_and_double_nothing(
    folder: Path, tmp_path: Path
) -> None:
    files: list[Path] = []
    running: list[Program] = []

    def publisher(ownership: str) -> Program:
        files.append(tmp_path / f"told{len(files)}")
        files[-1].touch()
        command = ["-c", PUBLISHER, str(folder), str(files[-1]), ownership]
        process = Program(command, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def told() -> list[str]:
        return [line for file in files for line in file.read_text().splitlines(keepends=True)]

    def more_is_told(file: Path) -> None:
        before = file.stat().st_size
        wait_until(lambda: file.stat().st_size > before)

    try:
        publisher("never")
        never = files[-1]
        more_is_told(never)
        assert spool_files(folder), "nothing owns the folder yet"
        for n in range(KILLS):
            owner = publisher("auto")
            more_is_told(files[-1])
            more_is_told(never)
            if n % 2:
                os.kill(owner.pid, signal.SIGSTOP)
                more_is_told(never)  # it spools beside an owner that is stopped
            owner.kill()
            owner.wait()
            more_is_told(never)
    finally:
        for process in running:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    promised = [line.strip() for line in told() if line.endswith("\n")]
    assert promised
    with shop(str(folder), ownership="auto", spool=True) as system:
        system.drain(120)
        published = [str(record.message_id) for record in system.audit.events() if record.name == "Published"]
    assert len(published) == len(set(published)), "nothing is published twice"
    assert set(promised) <= set(published), "what was said to be published is"
