"""`perdure serve FOLDER`: an owner without handlers, which ends in good order."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import perdure
from perdure.store.disk.folder_lock import live_owner
from tests.host.processes.clients.test_faults import wait_until
from tests.host.processes.shop import Order, Quote, shop
from tests.host.processes.takeovers.test_takeover import role_of
from tests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path


def test_an_owner_hands_over_to_a_process_that_prefers_to_own_the_folder_and_works_on_as_a_member(folder: Path) -> None:
    with shop(str(folder)) as system, perdure.connect(folder) as client:
        assert system.role == "owner"
        told: list[str] = []
        done = threading.Event()

        def publish() -> None:
            while not done.is_set():
                told.extend([client.publish(Order(1)), system.publish(Order(2))])

        publisher = threading.Thread(target=publish)
        publisher.start()
        process = Program(["-m", "perdure", "serve", str(folder)], stdout=subprocess.PIPE)
        try:
            wait_until(lambda: role_of(system) == "member")
            wait_until(lambda: live_owner(folder) == process.pid)
            before = len(told)
            wait_until(lambda: len(told) > before + 20)
            done.set()
            publisher.join(30)
            assert system.call(Quote(3), timeout=30) == 6, "its handlers work on"
            client.drain(30)
            assert client.admin.metrics().completed == len(told) + 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            wait_until(lambda: role_of(system) == "owner")
            assert client.call(Quote(4), timeout=30) == 8
        finally:
            done.set()
            process.kill()
            process.communicate()


def test_of_two_that_prefer_to_own_the_folder_the_first_keeps_it(folder: Path) -> None:
    with perdure.System(folder, shared=True, ownership="prefer") as system:
        process = Program(["-m", "perdure", "serve", str(folder)], stderr=subprocess.PIPE)
        try:
            assert process.stderr is not None
            wait_until(lambda: "prefers to keep it" in process.stderr.readline())  # type: ignore[union-attr]  # a pipe
            assert system.role == "owner"
            assert system.publish({"a": 1})
        finally:
            process.kill()
            process.communicate()


def test_a_served_folder_is_owned_without_handlers_until_sigterm(folder: Path) -> None:
    process = Program(["-m", "perdure", "serve", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("is served, as owner\n")
        with perdure.connect(folder) as client, shop(str(folder)) as member:
            assert member.role == "member"
            waiting = client.publish(Order(1), delay=1000)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
            assert process.returncode == 0
            assert client.cancel(waiting)
            wait_until(lambda: member.role == "owner")
            assert client.call(Quote(2), timeout=20) == 4
        assert f"owns the folder {folder}" in log
        assert "is connected; 2 now" in log
    finally:
        process.kill()
        process.wait()
