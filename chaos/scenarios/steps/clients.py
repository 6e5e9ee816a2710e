"""Steps of clients and members, in other processes: what they ask, what goes wrong on their connections, and their deaths.

A client's step is one of `actions`, done through its front door. The connections are in `perdure.chaos.simulation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.chaos.scenarios.messages import HOWS
from perdure.chaos.scenarios.processes.members import Member
from perdure.chaos.scenarios.processes.other_processes import CLIENTS
from perdure.chaos.scenarios.steps.actions import ACTIONS, Action

if TYPE_CHECKING:
    import random

    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["ASKED", "CLIENT_STEPS", "MEMBERS"]

MEMBERS = 2
ASKED = (
    *("publish",) * 6,
    *("submit",) * 5,
    *("submit_batch",) * 3,
    *("publish_many",) * 2,
    *(
        "publish_again",
        "call",
        "call",
        "checkout",
        "checkout",
        "settle",
        "settle",
        "cancel",
        "result",
        "result",
        "replay",
        "snapshot",
    ),
)
"""What a client asks for, as often as it is drawn. No pauses: one that is in doubt may come late, which no check could detect."""


def _draw_client(rng: random.Random) -> dict[str, Any]:
    do = rng.choice(ASKED)
    return {"n": rng.randrange(CLIENTS), "do": do, "how": ACTIONS[do].draw(rng)}


def _client(sut: SystemUnderTest, n: int, do: str, how: dict[str, Any]) -> None:
    """Do what a client does."""
    sut.fault_counts["asked by a client"] += 1
    with sut.through(n):
        ACTIONS[do].do(sut, **how)


def _draw_any(rng: random.Random, **how: Any) -> dict[str, Any]:
    return {"n": rng.randrange(CLIENTS + MEMBERS), **how}


def _draw_line(rng: random.Random, **how: Any) -> dict[str, Any]:
    return {"n": rng.randrange(CLIENTS), **how}


def _break_link(sut: SystemUnderTest, n: int, frames: int) -> None:
    """Break a client's connection at one of the next boundaries of frames, and lose what is on its way."""
    sut.fault_counts["broken connection"] += 1
    connection = sut.others.connection(n)
    if connection is not None:
        connection.faults.break_in = frames


def _repeat_frames(sut: SystemUnderTest, n: int, frames: int) -> None:
    """Let the next frames arrive twice."""
    sut.fault_counts["repeated frames"] += 1
    sut.others.client(n).connection.faults.repeats = frames


def _swap_frames(sut: SystemUnderTest, n: int, frames: int) -> None:
    """Let the next frames be overtaken by the ones behind them."""
    sut.fault_counts["swapped frames"] += 1
    sut.others.client(n).connection.faults.swaps = frames


def _hang(sut: SystemUnderTest, n: int, end: str, seconds: float) -> None:
    """Let one end of a connection neither read nor answer for a while, as a process that is stopped (SIGSTOP)."""
    sut.fault_counts[f"{end} hangs"] += 1
    connection = sut.others.connection(n)
    if connection is not None:
        connection.hang(end, seconds)


def _client_death(sut: SystemUnderTest, n: int) -> None:
    """Kill a client; another takes its place."""
    sut.fault_counts["client"] += 1
    sut.kill_client(n)


def _draw_member(rng: random.Random) -> dict[str, Any]:
    return {
        "n": rng.randrange(MEMBERS),
        "workers": rng.choice((1, 3)),
        "slow": rng.random() < 0.7,
        "more": rng.choice((False, True)),
        "old": rng.choice((False, False, True)),
        "relays": rng.choice((False, True)),
    }


def _member_joins(sut: SystemUnderTest, n: int, workers: int, **how: bool) -> None:
    """Start a member whose workers the owner feeds, unless it is there. It is quick and has few handlers unless `how` says more."""
    sut.fault_counts["member joins"] += 1
    settings = Member(
        workers,
        is_slow=how.get("slow", False),
        has_more=how.get("more", False) and sut.with_others,
        is_old=how.get("old", False),
    )
    sut.start_member(CLIENTS + n, settings, relays=how.get("relays", False))


def _deed(sut: SystemUnderTest, n: int, kind: str, how: str) -> None:
    """Have a client publish what old code knows with fewer fields; its own code may be old, too."""
    if sut.with_others:
        with sut.through(n):
            ACTIONS["publish"].do(sut, kind=kind, how=how, options={})


def _member_death(sut: SystemUnderTest, n: int) -> None:
    """Kill a member."""
    sut.fault_counts["member"] += 1
    sut.kill_member(CLIENTS + n)


CLIENT_STEPS: dict[str, Action] = {
    "client": Action(24, _draw_client, _client),
    "break_link": Action(3, lambda rng: _draw_any(rng, frames=rng.randrange(1, 8)), _break_link),
    "repeat_frames": Action(2, lambda rng: _draw_line(rng, frames=rng.randrange(1, 6)), _repeat_frames),
    "swap_frames": Action(1, lambda rng: _draw_line(rng, frames=rng.randrange(1, 4)), _swap_frames),
    "hang": Action(
        2, lambda rng: _draw_any(rng, end=rng.choice(("owner", "client")), seconds=rng.choice((1.0, 10.0, 45.0))), _hang
    ),
    "client_death": Action(1, _draw_line, _client_death),
    "member_joins": Action(6, _draw_member, _member_joins),
    "deed": Action(3, lambda rng: _draw_line(rng, kind=rng.choice(("deed", "old deed")), how=rng.choice(HOWS)), _deed),
    "member_death": Action(1, lambda rng: {"n": rng.randrange(MEMBERS)}, _member_death),
}
