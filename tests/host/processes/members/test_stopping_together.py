"""Processes of a folder that stop at the same time: what their handlers have ended is on record, whichever of them leaves first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import perdure
from tests.host.processes.clients.test_faults import wait_until
from tests.host.processes.crew import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.processes.role_rules import Ownership
    from tests.programs import Program

PATIENCE_S = 30.0


class Busy:
    """A member in this process whose handlers run until they are told to end, and then stops without an owner."""

    def __init__(self, folder: Path, ownership: Ownership) -> None:
        self.handled: list[int] = []
        self.may_end = threading.Event()
        self.system = perdure.System(folder, shared=True, ownership=ownership)

        @self.system.handler(Job, parallelism=2)
        def job(message: Job) -> None:
            self.handled.append(message.number)
            self.may_end.wait(PATIENCE_S)


def is_stopping(system: perdure.System) -> bool:
    try:
        system.admin.handlers()
    except perdure.NotRunning:
        return True
    return False


def last(folder: Path, ident: str) -> str:
    return perdure.Audit(folder).timeline(ident)[-1].name


@pytest.mark.parametrize("ownership", ["auto", "never"])
def test_a_member_that_stops_after_its_owner_puts_on_record_what_it_handled(
    start: Callable[[], Program], folder: Path, ownership: Ownership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.processes.member.OWNER_WAIT_S", 5.0)
    owner, busy = start(), Busy(folder, ownership)
    with busy.system as member:
        assert member.role == "member"
        ids = member.publish_many([Job(n) for n in range(2)])
        wait_until(lambda: len(busy.handled) == 2)
        stopping = threading.Thread(target=member.stop)
        stopping.start()
        wait_until(lambda: is_stopping(member))
        owner.kill()
        owner.wait()
        busy.may_end.set()
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()
    assert [last(folder, ident) for ident in ids] == ["Completed", "Completed"]
    assert sorted(busy.handled) == [0, 1]
    with perdure.System(folder) as alone:
        assert alone.admin.metrics().completed == 2
        assert alone.recovery is not None
        assert alone.recovery.in_flight_taken_back == 0
