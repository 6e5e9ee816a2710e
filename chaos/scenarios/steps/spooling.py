"""Steps of processes that spool: they publish while nothing owns the folder, die, and owners die as they take the files in.

A scenario has these steps only if its owners are shared ones, and one client and some members spool (`SystemUnderTest.has_spool`).
What must come of the files is in `processes.spools`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.scenarios.messages import TYPES
from perdure.chaos.scenarios.processes.members import Member
from perdure.chaos.scenarios.processes.other_processes import CLIENTS, SPOOLER
from perdure.chaos.scenarios.processes.spools import SpoolerDied
from perdure.chaos.scenarios.promotion import promote
from perdure.chaos.scenarios.steps.actions import ACTIONS, Action
from perdure.chaos.scenarios.steps.clients import ASKED, MEMBERS
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    import random

    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["SPOOL_STEPS"]

TROUBLES = ("", "", "", "dies", "torn", "flipped")
NO_MEMBER = -1
BY = (NO_MEMBER, *range(MEMBERS), *range(MEMBERS))
"""Which member spools, as often as it is drawn; where it is not there, or does not spool, the client does."""
MOSTLY = 0.7
PUBLISHES = tuple(do for do in ASKED if do.startswith(("publish", "submit")))


def _draw_spool(rng: random.Random) -> dict[str, Any]:
    messages = [one for _ in range(rng.randrange(1, 4)) for one in ACTIONS["submit"].draw(rng)["messages"]]
    return {
        "messages": messages,
        "pauses": rng.choice((0.0, 0.3)),
        "seconds": rng.choice((0.5, 2.0, 30.0)),
        "trouble": rng.choice(TROUBLES),
        "pick": rng.randrange(1000),
        "deaths": [rng.randrange(1, rng.choice((15, 150))) for _ in range(rng.choice((0, 0, 1, 1, 3)))],
        "member": rng.choice(BY),
        "last": rng.choice((None, messages[0])),
    }


def _spooler(sut: SystemUnderTest, member: int) -> int:
    """Return the number of a member, if it is there and spools, or else of the client that does."""
    return CLIENTS + member if CLIENTS + member in sut.others.spooling_members else SPOOLER


def _kill(sut: SystemUnderTest, n: int) -> None:
    sut.kill_client(n)
    sut.kill_member(n)


def _spool(
    sut: SystemUnderTest,
    messages: list[dict[str, Any]],
    pauses: float,
    seconds: float,
    trouble: str,
    pick: int,
    deaths: list[int],
    *,
    member: int = NO_MEMBER,
    last: dict[str, Any] | None = None,
) -> None:
    """Kill the owner; a client or member spools. Then owners take the files in, each of which but the last dies in its start.

    `last`: the last owner is that member, if it may be, which has just published this, too.
    """
    if not sut.has_spool:
        return
    n = _spooler(sut, member)
    sut.fault_counts["spooled without an owner"] += 1
    sut.fault_counts["spooled by a member"] += n != SPOOLER
    sut.others.lose_owner()
    sut.executor.forget_all()
    sut.spools.dies_in = 1 + pick % 12 if trouble == "dies" else 0
    try:
        with sut.through(n):
            for one in messages:
                _submit(sut, one)
                sut.executor.run_until(lambda: False, pauses)
        sut.executor.run_until(lambda: False, seconds)
    except SpoolerDied as death:
        sut.fault_counts["dies as it spools"] += 1
        _kill(sut, death.process)
    finally:
        sut.spools.dies_in = 0
    if trouble in {"torn", "flipped"}:
        _kill(sut, n)
        done = sut.spools.tear(pick, pick) if trouble == "torn" else sut.spools.flip(pick, pick)
        sut.fault_counts[f"{trouble} spool"] += done
    for points in deaths:
        try:
            sut.start_successor(sut.disk, dies_in=points)
        except Killed:
            sut.fault_counts["dies as it takes a spool in"] += 1
            sut.trace.append("-> the process died")
    if last is not None and n in sut.others.candidates:
        sut.fault_counts["promoted with what it spooled"] += 1
        with sut.through(n):
            _submit(sut, last)
        promote(sut, n)
    else:
        sut.start_successor(sut.disk)


def _submit(sut: SystemUnderTest, one: dict[str, Any]) -> None:
    content, ident = sut.publisher_log.new_message(TYPES[one["kind"]], one["how"], one["options"])
    try:
        sut.publisher_log.submit(ident, partial(sut.front.submit, content, id=ident, **one["options"]))
    except PerdureError as error:
        sut.trace.append(f"-> {type(error).__name__}")


def _draw_asked(rng: random.Random) -> dict[str, Any]:
    do = rng.choice(PUBLISHES)
    return {"do": do, "how": ACTIONS[do].draw(rng), "member": rng.choice(BY)}


def _spooler_asks(sut: SystemUnderTest, do: str, how: dict[str, Any], member: int = NO_MEMBER) -> None:
    """Publish by a process that spools, whether there is an owner or not."""
    if sut.has_spool:
        n = _spooler(sut, member)
        sut.fault_counts[f"published by a {'client' if n == SPOOLER else 'member'} that spools"] += 1
        with sut.through(n):
            ACTIONS[do].do(sut, **how)


def _silent_owner(sut: SystemUnderTest, seconds: float, member: int = NO_MEMBER) -> None:
    """Let the owner not answer a process that spools: it spools beside an owner that goes on."""
    if sut.has_spool:
        sut.fault_counts["silent owner"] += 1
        connection = sut.others.connection(_spooler(sut, member)) or sut.others.client(SPOOLER).connection
        connection.hang("owner", seconds)


def _draw_joins(rng: random.Random) -> dict[str, Any]:
    return {"member": rng.randrange(MEMBERS), "workers": rng.choice((1, 3)), "slow": rng.random() < MOSTLY}


def _spooler_joins(sut: SystemUnderTest, member: int, workers: int, slow: bool) -> None:
    """Start a member that spools, and may become the owner, in the place of one that does not."""
    n = CLIENTS + member
    if not sut.has_spool or n in sut.others.spooling_members:
        return
    sut.fault_counts["a member that spools joins"] += 1
    sut.kill_member(n)
    sut.start_member(n, Member(workers, is_slow=slow, may_own=True, spools=True), relays=False)


SPOOL_STEPS: dict[str, Action] = {
    "spool": Action(4, _draw_spool, _spool),
    "spooler_asks": Action(5, _draw_asked, _spooler_asks),
    "silent_owner": Action(1, lambda rng: {"seconds": rng.choice((2.0, 10.0, 45.0)), "member": rng.choice(BY)}, _silent_owner),
    "spooler_joins": Action(3, _draw_joins, _spooler_joins),
}
