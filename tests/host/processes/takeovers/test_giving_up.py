"""A shared System whose restart budget is spent lets the folder go, so that another takes over, and says why it has failed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import perdure
from perdure.actors.members.member_dispatcher import MemberDispatcher
from perdure.actors.queue.queue import Queue
from perdure.runtime.engine import Engine
from perdure.store.disk.folder_lock import live_owner
from tests.host.processes.shop import Order, Quote, shop
from tests.host.processes.spooling.test_spool import wait_until
from tests.programs import Program, run

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[[], Program]

BUDGET = perdure.Options(restart_budget=1)
MEMBER = Path(__file__).parents[1] / "shop.py"


def dies(*_: Any, **__: Any) -> NoReturn:
    msg = "an invariant is broken"
    raise RuntimeError(msg)


def test_an_owner_that_gives_up_lets_a_member_take_over_and_says_why(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop(str(folder), options=BUDGET) as owner:
        ids = [owner.publish(Order(n), delay=0.2) for n in range(20)]
        member = start()
        monkeypatch.setattr(Queue, "handle", dies)
        with pytest.raises(perdure.NotRunning, match="died 2 times") as raised:
            owner.publish(Order(0))
        assert isinstance(raised.value.__cause__, RuntimeError)
        with perdure.connect(folder, timeout=30) as client:
            wait_until(lambda: live_owner(folder) == member.pid)
            assert client.call(Quote(2), timeout=30) == 4
            client.drain(30)
            assert all(client.state(ident).status == "completed" for ident in ids), "nothing on record is lost"
        assert not owner.running
        with pytest.raises(perdure.NotRunning, match="died 2 times"):
            owner.publish(Order(0))


def test_a_member_that_gives_up_leaves_its_work_to_others_and_never_becomes_the_owner(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    with shop(str(folder), options=BUDGET) as member:
        member.call(Quote(1), timeout=30)
        monkeypatch.setattr(MemberDispatcher, "on_batch", dies)
        with perdure.connect(folder, timeout=30) as client:
            client.admin.pause(Order)  # the member's dispatcher is told
        wait_until(lambda: not member.running)
        with pytest.raises(perdure.NotRunning, match="died 2 times"):
            member.publish(Order(0))
        with perdure.connect(folder, timeout=30) as client:
            client.admin.resume(Order)
            ids = [client.publish(Order(n)) for n in range(20)]
            client.drain(30)
            assert all(client.state(ident).status == "completed" for ident in ids), "the other process handles all"
        process.kill()
        process.wait()
        wait_until(lambda: live_owner(folder) is None)
    with perdure.System(folder, shared=True) as system:
        assert system.role == "owner"


def test_a_member_whose_takeover_failed_for_good_can_be_started_again(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused: the system was said to run already, while each call said that it did not run."""
    process = start()
    with shop(str(folder)) as system:
        assert system.role == "member"
        begin = Engine.start

        def fails(*_: Any, **__: Any) -> NoReturn:
            msg = "planted"
            raise perdure.StoreUnavailable(msg)

        monkeypatch.setattr(Engine, "start", fails)
        process.kill()
        process.wait()
        wait_until(lambda: not system.running)
        with pytest.raises(perdure.NotRunning, match=r"not become the owner of its folder: planted\. .*start it again") as raised:
            system.publish(Order(1))
        assert isinstance(raised.value.__cause__, perdure.StoreUnavailable)
        monkeypatch.setattr(Engine, "start", begin)
        system.start()
        assert live_owner(folder) == os.getpid()
        with pytest.raises(perdure.PerdureError, match="running already"):
            system.start()
        assert system.call(Quote(2), timeout=20) == 4
    assert live_owner(folder) is None


def test_what_an_owner_that_hands_over_has_not_taken_in_of_the_spool_is_left_to_the_next(folder: Path) -> None:
    assert run(["-c", HANDS_OVER, str(folder)], timeout=60).returncode == 0


HANDS_OVER = """
import sys, subprocess, time, perdure
from tests.host.processes.shop import Order
from tests.host.processes.spooling.test_spool import spool_files
from pathlib import Path
folder = Path(sys.argv[1])
with perdure.connect(folder, spool=True) as client:
    for n in range(8):
        client.publish(Order(n))
small = perdure.Options(backlog_max=4)
with perdure.System(folder, shared=True, options=small) as system:
    assert spool_files(folder), "there is no room for all"
    code = "import sys, perdure\\nwith perdure.System(sys.argv[1], shared=True, ownership='prefer') as s: sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE)
    until = time.monotonic() + 30
    while system.role == "owner" or spool_files(folder):
        assert time.monotonic() < until, (system.role, spool_files(folder))
        time.sleep(0.02)
    assert system.admin.metrics().ready == 8
other.communicate()
"""
