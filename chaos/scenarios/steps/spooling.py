"""Steps of a client that spools: it publishes while nothing owns the folder, dies, and owners die as they take its files in.

A scenario has these steps only if its owners are shared ones and one client spools (`SystemUnderTest.has_spool`). What must come of
the files is in `processes.spools`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.scenarios.messages import TYPES
from perdure.chaos.scenarios.processes.other_processes import SPOOLER
from perdure.chaos.scenarios.processes.spools import SpoolerDied
from perdure.chaos.scenarios.steps.actions import ACTIONS, Action
from perdure.chaos.scenarios.steps.clients import ASKED
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    import random

    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

__all__ = ["SPOOL_STEPS"]

TROUBLES = ("", "", "", "dies", "torn", "flipped")
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
    }


def _spool(
    sut: SystemUnderTest,
    messages: list[dict[str, Any]],
    pauses: float,
    seconds: float,
    trouble: str,
    pick: int,
    deaths: list[int],
) -> None:
    """Kill the owner; a client spools. Then owners take the files in, each of which but the last dies in its start."""
    if not sut.has_spool:
        return
    sut.fault_counts["spooled without an owner"] += 1
    sut.others.lose_owner()
    sut.executor.forget_all()
    sut.spools.dies_in = 1 + pick % 12 if trouble == "dies" else 0
    try:
        with sut.through(SPOOLER):
            for one in messages:
                content, ident = sut.publisher_log.new_message(TYPES[one["kind"]], one["how"], one["options"])
                try:
                    sut.publisher_log.submit(ident, partial(sut.front.submit, content, id=ident, **one["options"]))
                except PerdureError as error:
                    sut.trace.append(f"-> {type(error).__name__}")
                sut.executor.run_until(lambda: False, pauses)
        sut.executor.run_until(lambda: False, seconds)
    except SpoolerDied:
        sut.fault_counts["dies as it spools"] += 1
        sut.kill_client(SPOOLER)
    finally:
        sut.spools.dies_in = 0
    if trouble in {"torn", "flipped"}:
        sut.kill_client(SPOOLER)
        done = sut.spools.tear(pick, pick) if trouble == "torn" else sut.spools.flip(pick, pick)
        sut.fault_counts[f"{trouble} spool"] += done
    for points in deaths:
        try:
            sut.start_successor(sut.disk, dies_in=points)
        except Killed:
            sut.fault_counts["dies as it takes a spool in"] += 1
            sut.trace.append("-> the process died")
    sut.start_successor(sut.disk)


def _draw_asked(rng: random.Random) -> dict[str, Any]:
    do = rng.choice(PUBLISHES)
    return {"do": do, "how": ACTIONS[do].draw(rng)}


def _spooler_asks(sut: SystemUnderTest, do: str, how: dict[str, Any]) -> None:
    """Publish by the client that spools, whether there is an owner or not."""
    if sut.has_spool:
        sut.fault_counts["published by a client that spools"] += 1
        with sut.through(SPOOLER):
            ACTIONS[do].do(sut, **how)


def _silent_owner(sut: SystemUnderTest, seconds: float) -> None:
    """Let the owner not answer the client that spools: it spools beside an owner that goes on."""
    if sut.has_spool:
        sut.fault_counts["silent owner"] += 1
        sut.others.client(SPOOLER).connection.hang("owner", seconds)


SPOOL_STEPS: dict[str, Action] = {
    "spool": Action(4, _draw_spool, _spool),
    "spooler_asks": Action(5, _draw_asked, _spooler_asks),
    "silent_owner": Action(1, lambda rng: {"seconds": rng.choice((2.0, 10.0, 45.0))}, _silent_owner),
}
