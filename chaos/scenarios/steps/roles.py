"""Steps of members that are more than workers: they become the owner, check out by hand, and relay an outbox that several have.

A scenario has these steps only if its processes play roles (`SystemUnderTest.plays_roles`). Plain members are in `clients`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.chaos.scenarios.messages import Plain
from perdure.chaos.scenarios.processes.members import Member
from perdure.chaos.scenarios.processes.other_processes import CLIENTS
from perdure.chaos.scenarios.promotion import promote
from perdure.chaos.scenarios.steps.actions import ACTIONS, Action
from perdure.chaos.scenarios.steps.clients import ASKED, MEMBERS

if TYPE_CHECKING:
    import random

    from perdure.chaos.scenarios.outbox_database import Relay
    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["ROLE_STEPS"]

BY_MEMBERS = (*(do for do in ASKED if do not in {"replay", "snapshot"}), *("checkout",) * 8, *("settle",) * 6)
"""What a member asks for, as often as it is drawn: above all to check out by hand, as a client seldom does."""
SETTLED_S = 70.0
"""After this time without faults each outbox has its relay: pauses after failures grow up to half a minute."""
RELAYED_S = 15.0
"""Within this time after a host's notification a row is relayed, whatever has become of the process that relays."""
WAITING_MAX = 30
"""With more messages in the backlog, a row may have to wait for room."""


def _draw_candidate(rng: random.Random) -> dict[str, Any]:
    return {
        "n": rng.randrange(MEMBERS),
        "workers": rng.choice((1, 3)),
        "slow": rng.random() < 0.7,
        "relays": rng.choice((False, True, True)),
        "cannot": rng.choice(("", "", "", "read", "delete")),
    }


def _candidate_joins(sut: SystemUnderTest, n: int, workers: int, slow: bool, relays: bool, cannot: str) -> None:
    """Start a member that may become the owner, in the place of one that may not."""
    if not sut.plays_roles or CLIENTS + n in sut.others.candidates:
        return
    sut.fault_counts["candidate joins"] += 1
    sut.kill_member(CLIENTS + n)
    sut.start_member(CLIENTS + n, Member(workers, is_slow=slow, may_own=True), relays=relays, cannot=cannot)


def _draw_promotion(rng: random.Random) -> dict[str, Any]:
    return {
        "n": rng.randrange(MEMBERS),
        "grace": rng.choice((None, None, None, 0.0, 5.0)),
        "deputy": rng.choice((False, True)),
        "points": rng.choice((0, 0, 0, 0, rng.randrange(1, 12), rng.randrange(1, 120))),
    }


def _promotion(sut: SystemUnderTest, n: int, grace: float | None, deputy: bool, points: int) -> None:
    """End the owner: a member becomes the owner, in the same process."""
    promote(sut, CLIENTS + n, grace=grace, is_deputy=deputy, dies_in=points)


def _draw_asked(rng: random.Random) -> dict[str, Any]:
    do = rng.choice(BY_MEMBERS)
    return {"n": rng.randrange(MEMBERS), "do": do, "how": ACTIONS[do].draw(rng)}


def _member_asks(sut: SystemUnderTest, n: int, do: str, how: dict[str, Any]) -> None:
    """Do what a member's host does, through the front door of a System that is a member."""
    if CLIENTS + n in sut.others.members:
        sut.fault_counts[f"a member asks to {do}" if do in {"checkout", "settle"} else "asked by a member"] += 1
        with sut.through(CLIENTS + n):
            ACTIONS[do].do(sut, **how)


def _shared_outbox(sut: SystemUnderTest, trouble: str) -> None:
    """Let the process that relays the outbox die, hang, or fail; one other process that has it must go on, and one only."""
    if not sut.plays_roles:
        return
    sut.end_faults()
    sut.system.advance(SETTLED_S)
    now = sut.system.admin.metrics()
    relays = _able(sut)
    relaying = [relay for relay in relays.values() if relay.is_granted]
    if len(relaying) > 1:
        sut.violations.append(f"{len(relaying)} processes relay one outbox, after {SETTLED_S:g} s without faults")
    if not relaying or now.ready + now.delayed + now.held > WAITING_MAX:
        return
    member = next((n for n, relay in relays.items() if n is not None and relay is relaying[0]), None)
    match trouble:
        case "dies" if member is not None:
            sut.kill_member(member)
        case "hangs" if member is not None:
            sut.others.members[member].connection.hang("client", 2 * RELAYED_S)
        case "read" | "delete":
            relaying[0].cannot = trouble
    able = [relay for relay in _able(sut).values() if trouble != "hangs" or relay is not relaying[0]]
    if able:
        sut.fault_counts[f"the relaying process {trouble}" if trouble else "a shared outbox"] += 1
        _check_row(sut, able)
    relaying[0].cannot = ""
    sut.end_faults()


def _able(sut: SystemUnderTest) -> dict[int | None, Relay]:
    """Return the relays of processes that can read the outbox and settle what they read, by the member; None: the owner."""
    found: dict[int | None, Relay | None] = {None: sut.database.relay}
    found |= {n: sut.database.of_members.get(member) for n, member in sut.others.members.items()}
    return {n: relay for n, relay in found.items() if relay is not None and not relay.cannot}


def _check_row(sut: SystemUnderTest, able: list[Relay]) -> None:
    """Write a row, notify one of the processes, and require that it is published and deleted."""
    content, ident = sut.publisher_log.new_message(Plain, "done", {})
    sut.database.write([(content, ident, {})], commit=True)
    able[-1].notify()
    sut.system.advance(RELAYED_S)
    if sut.database.holds(ident):
        sut.violations.append(f"the row of {ident} is not relayed after {RELAYED_S:g} s, and {len(able)} processes can")


ROLE_STEPS: dict[str, Action] = {
    "candidate_joins": Action(5, _draw_candidate, _candidate_joins),
    "promotion": Action(4, _draw_promotion, _promotion),
    "member_asks": Action(8, _draw_asked, _member_asks),
    "shared_outbox": Action(
        2, lambda rng: {"trouble": rng.choice(("", "dies", "dies", "hangs", "hangs", "read", "delete"))}, _shared_outbox
    ),
}
