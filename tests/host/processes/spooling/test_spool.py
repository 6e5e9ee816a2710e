"""Publishing while nothing owns the folder: the message is spooled, and the next owner takes it in, once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.store.spool.spool_format import is_spool
from tests.host.processes.clients.test_faults import suspend
from tests.host.processes.shop import Order, Quote, shop
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def spool_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_spool(path.name))


def wait_until(holds: Callable[[], object]) -> None:
    until_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_what_is_published_without_an_owner_is_taken_in_by_the_next(folder: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        ids = [client.publish(Order(1)), *client.publish_many([Order(2), Order(3)]), client.submit(Order(4)).result(30)]
        ids.append(client.publish(Quote(5), keep_result=600, headers={"a": "b"}, priority=3))
        ids.append(asyncio.run(client.apublish(Order(6))))
        assert len(spool_files(folder)) == 1
        with shop(str(folder)) as system:
            assert not spool_files(folder), "taken in before the start is over"
            client.drain(30)
            assert system.admin.metrics().completed == 6
            assert system.admin.metrics().runtime_counters["spooled_messages_taken_in"] == 6
            assert all(client.state(ident).status == "completed" for ident in ids)
            assert client.result(ids[4], timeout=10) == 10
            client.publish(Order(7))
            assert not spool_files(folder), "an owner that is there is asked itself"


def test_nothing_is_spooled_beside_another_log_than_that_of_the_folder_that_was_moved(folder: Path) -> None:
    """It made a folder under the name that the moved one had, and said that the message was published."""
    moved = folder.with_name("moved")
    with perdure.connect(folder, spool=True) as client:
        first = client.publish(Order(1))
        folder.rename(moved)
        with pytest.raises(perdure.FolderMoved, match=r"nothing is left under that name\. Nothing was published"):
            client.publish(Order(2))
        assert not folder.exists()
        folder.mkdir(mode=0o700)
        with pytest.raises(perdure.FolderMoved, match="another folder is there now"):
            client.publish(Order(2))
        with shop(str(folder)) as replacing:  # an owner says that this is the folder now
            assert not client.state(first).known  # an answer of the owner
            client.publish(Order(3))
            assert replacing.admin.metrics().published == 1
        client.publish(Order(4))
        assert len(spool_files(folder)) == 1
    with shop(str(moved)) as system:
        assert system.state(first).known


def test_no_handler_starts_before_what_was_spooled_is_taken_in(folder: Path) -> None:
    with shop(str(folder), options=perdure.Options(grace_s=0.0)) as system:
        system.admin.pause(Order)  # a pause outlives restarts
        system.publish(Order(1), priority=-5)
    with perdure.connect(folder, spool=True) as client:
        client.publish(Order(2), priority=5)
    handled: list[int] = []
    system = perdure.System(folder)

    @system.handler(Order)
    def order(message: Order) -> None:
        handled.append(message.number)

    with system:
        system.admin.resume(Order)
        system.drain(30)
    assert handled == [2, 1]


def test_what_is_in_both_the_spool_and_the_log_counts_once(
    start: Callable[[], Program], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.processes.to_owner.waiting.SPOOL_SILENT_S", 0.3)
    process = start()
    with perdure.connect(folder, spool=True) as client:
        client.publish(Order(1))
        suspend(process.pid)
        ids = [client.publish(Order(2)), client.publish(Order(3), id="mine")]
        assert spool_files(folder), "a stopped owner does not hold up a process that spools"
        monkeypatch.setattr("perdure.processes.to_owner.waiting.SPOOL_SILENT_S", 3600.0)
        client.publish(Order(4), id="at once")  # it would wait in vain
        os.kill(process.pid, signal.SIGCONT)
        wait_until(lambda: client.state("at once"))
        assert client.publish(Order(3), id="mine") == "mine"
        wait_until(lambda: not spool_files(folder))
        client.drain(30)
        assert client.admin.metrics().published == 4
        assert all(client.state(ident).status == "completed" for ident in ids)


def test_what_the_next_owner_refuses_is_a_dead_letter_with_the_reason(folder: Path) -> None:
    system = perdure.System(folder, shared=True)

    @system.handler(Quote, dedup="reject")
    def quote(message: Quote) -> int:
        return message.number

    with system:
        held = system.publish(Quote(1), key="k", delay=1000)
    with perdure.connect(folder, spool=True) as client:
        refused = client.publish(Quote(2), key="k")
        accepted = client.publish(Quote(3), key="other", delay=1000)
        together = client.publish_many([Quote(4), Quote(5)], keys=["k", "free"], delay=1000)
    with system:
        letters = {letter.id: letter for letter in system.dead_letters.list()}
        assert letters.keys() == {refused, *together}, "what was published together is refused together"
        assert letters[refused].exception == "perdure.DuplicateKey"
        assert held in letters[refused].reason
        assert letters[refused].key == "k"
        assert system.state(accepted).status == "delayed"
        assert system.cancel(held)
        system.dead_letters.replay(refused)
        wait_until(lambda: system.state(refused).status == "completed")


def test_a_full_backlog_delays_what_was_spooled_and_loses_nothing(folder: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        ids = [client.publish(Order(n)) for n in range(12)]
    with perdure.System(folder, shared=True, options=perdure.Options(backlog_max=5)) as system:
        assert system.admin.metrics().ready == 5
        assert spool_files(folder)
        seen: list[str] = []
        while len(seen) < 12:
            delivery = system.checkout(Order)
            if delivery is None:
                time.sleep(0.01)
                continue
            seen.append(delivery.id)
            delivery.ack()
        assert seen == ids
        wait_until(lambda: not spool_files(folder))


def test_files_that_come_while_an_owner_is_there_are_taken_in(owner: perdure.System, folder: Path) -> None:
    other = folder.parent / "other"
    with perdure.connect(other, spool=True) as client:
        ident = client.publish(Order(1))
    (file,) = spool_files(other)
    file.rename(folder / file.name)
    wait_until(lambda: not spool_files(folder))
    wait_until(lambda: owner.state(ident).status == "completed")


def test_a_system_that_is_not_shared_takes_it_in_too(folder: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        ident = client.publish(Order(1))
        with perdure.System(folder) as system:
            assert system.state(ident).status == "ready"
            assert not spool_files(folder)


def test_what_needs_an_owner_waits_for_one_and_says_so(folder: Path) -> None:
    with perdure.connect(folder, spool=True, timeout=0.3) as client:
        ident = client.publish(Order(1))
        for call in (client.admin.metrics, lambda: client.state(ident), lambda: client.call(Quote(1), timeout=1)):
            with pytest.raises(perdure.NotRunning, match="no process owns"):
                call()


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    client = perdure.connect(file / "folder", spool=True)
    with client, pytest.raises(perdure.StoreUnavailable, match="Nothing was published"):
        client.publish(Order(1))


def test_a_full_spool_refuses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.store.spool.spool_file.FOLDER_BYTES_MAX", 3000)
    monkeypatch.setattr("perdure.store.spool.spool_file.FILE_BYTES_MAX", 1000)
    with perdure.connect(folder, spool=True) as client:
        futures = [client.submit(Order(n), headers={"h": "x" * 200}) for n in range(100)]
        errors = [error for future in futures if (error := future.exception(30)) is not None]
    assert 80 < len(errors) < 100
    assert all(isinstance(error, perdure.QueueFull) and "spool" in str(error) for error in errors)
    with shop(str(folder)) as system:
        system.drain(30)
        assert system.admin.metrics().completed == 100 - len(errors)


def test_a_forked_child_has_a_file_of_its_own(folder: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        client.publish(Order(1))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                client.publish(Order(2))
                client.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        client.publish(Order(3))
        assert len(spool_files(folder)) == 2
    with shop(str(folder)) as system:
        system.drain(30)
        assert system.admin.metrics().completed == 3


def test_verify_sees_what_is_spooled_and_what_is_damaged(folder: Path) -> None:
    with perdure.System(folder):
        pass
    with perdure.connect(folder, spool=True) as client:
        for n in range(3):
            client.publish(Order(n))
    found = perdure.Audit(folder).verify()
    assert found.ok
    assert found.spooled == 3
    (file,) = spool_files(folder)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    found = perdure.Audit(folder).verify()
    (finding,) = found.findings
    assert finding.file == file.name
    with shop(str(folder)) as system:
        system.drain(30)
        assert system.admin.metrics().completed == 2, "what is whole is taken in"
    assert file.with_name(f"{file.name}.damaged").exists(), "and the rest is kept"


PUBLISHER = """
import sys
import perdure
from tests.host.processes.shop import Order
client = perdure.connect(sys.argv[1], spool=True, timeout=60)
print("up", flush=True)
with open(sys.argv[2], "w") as told:
    for n in range(10**9):
        ids = [client.publish(Order(n)), *client.publish_many([Order(n)] * 3), client.submit(Order(n)).result(60)]
        told.write("".join(f"{i}\\n" for i in ids))
        told.flush()
"""
KILLS = int(os.environ.get("PERDURE_TEST_SPOOL_KILLS", "4"))


@pytest.mark.long(seconds=60)
@pytest.mark.timeout(600)
def test_kills_of_owners_and_publishers_lose_nothing_that_was_spooled_and_double_nothing(
    start: Callable[[], Program], folder: Path, tmp_path: Path
) -> None:
    files: list[Path] = []
    publishers: list[Program] = []

    def publisher() -> Program:
        files.append(tmp_path / f"told{len(files)}")
        files[-1].touch()
        process = Program(["-c", PUBLISHER, str(folder), str(files[-1])], stdout=subprocess.PIPE)
        publishers.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def told() -> list[str]:
        return [line for file in files for line in file.read_text().splitlines(keepends=True)]

    def wait_for_more(n: int) -> None:
        before = len(told())
        wait_until(lambda: len(told()) > before + n)

    try:
        for n in range(KILLS):
            mine = publisher()
            wait_for_more(20)  # spooled
            owner = start()
            wait_for_more(5)  # published, or spooled on
            (owner if n % 2 else mine).kill()
            (owner if n % 2 else mine).wait()
            owner.kill()
            owner.wait()
        for process in publishers:
            process.kill()
            process.wait()
    finally:
        for process in publishers:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    with shop(str(folder)) as system:
        wait_until(lambda: not spool_files(folder))
        system.drain(60)
        ids = [line.strip() for line in told() if line.endswith("\n")]
        assert len(set(ids)) == len(ids) > 20 * KILLS
        # Without retries, what a killed owner was handling is a dead letter: its attempt counts.
        died = {letter.id: letter.reason for letter in system.dead_letters.list()}
        assert len(died) <= KILLS
        assert all("died" in reason or "process" in reason for reason in died.values()), died
        states = {ident: system.state(ident).status for ident in ids}
        assert {ident: status for ident, status in states.items() if status != ("dead" if ident in died else "completed")} == {}
        metrics = system.admin.metrics()
        assert metrics.completed + len(died) == metrics.published, "each once"
        assert metrics.published - len(ids) <= 5 * len(publishers), "but for what a killed publisher was not told"


def test_an_entry_that_cannot_be_read_holds_up_no_spool_file_and_is_a_finding(folder: Path) -> None:
    with perdure.connect(folder, spool=True) as client:
        ident = client.publish(Order(1))
    (written,) = spool_files(folder)
    (folder / "spool-0000000000000001-0000000000000001.spool").mkdir()
    (folder / f"{written.stem}0{written.suffix}").symlink_to(written)
    strange = [path for path in spool_files(folder) if path != written]
    assert len(strange) == 2
    with perdure.System(folder) as system:
        wait_until(lambda: system.state(ident).known)
        assert spool_files(folder) == strange
    result = perdure.Audit(folder).verify()
    assert not result.ok
    assert all(any(path.name in str(finding) for finding in result.findings) for path in strange)
