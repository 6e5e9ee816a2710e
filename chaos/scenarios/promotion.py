"""A member's process becomes the owner of the folder in a scenario: its running handlers, requests and checkouts stay.

How a fresh process becomes the owner is in `system_under_test`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.oracle.reference_model import BrokenContract
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from perdure.chaos.oracle.recording_system import RecordingSystem
    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["promote"]


def promote(sut: SystemUnderTest, n: int, *, grace: float | None = None, is_deputy: bool = False, dies_in: int = 0) -> None:
    """End the owner, and let a member become the owner, if it may and does not hang. If it hangs, another process takes over.

    Args:
        sut: the system.
        n: the member.
        grace: the owner stops in good order within it; None: it dies.
        is_deputy: the member has followed the log, if any process has.
        dies_in: it dies as well, after so many points of its takeover; 0: it does not.
    """
    if n not in sut.others.candidates:
        return
    if grace is not None:
        sut.stop(grace)
    sut.cut_in = 0
    sut.others.lose_owner()
    sut.executor.forget_all()
    member = sut.others.promote(n)
    if member is None:
        sut.start_successor(sut.disk)
        return
    sut.end_process()
    sut.disk.owner, sut.disk.faults = None, []
    sut.disk.end_claims()
    sut.system = cast("RecordingSystem", member.system)
    sut.publisher_log.go_on_as_owner(member)
    sut.enter(sut.system)
    sut.by_front[None] = sut.by_front.pop(n, [])
    sut.database.relay = sut.database.of_members.get(member)
    sut.system.deputy = sut.others.end_deputy() if is_deputy else None
    sut.executor.die_after = dies_in
    has_running = any(pool.running() for pool in member.runtime.pools.by_type.values())
    try:
        sut.system.take_over(member)
    except Killed:
        sut.fault_counts["dies as it is promoted"] += bool(dies_in)
        if member.connection in sut.executor.bystanders:  # it had not left; nothing of a dead process may connect again
            member.connection.die()
        raise
    except (PerdureError, TimeoutError) as error:  # the disk works, and nothing else was in its way
        msg = f"a member could not become the owner: {error!r}"
        raise BrokenContract(msg) from error
    sut.fault_counts["promoted"] += 1
    sut.fault_counts["promoted while its handlers run"] += has_running
    sut.spools.note_left(sut.fault_counts)
    sut.note_takeover()
