"""`System.state`: every status, before and after a restart, and unknown ids."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events.codec.queue_snapshot import dump_queue, load_queue
from perdure.events.commands import Cancel, Draft, Publish
from perdure.events.limits import Limits
from perdure.events.queue import decisions as queue_rules
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.lookup import look_up
from perdure.events.queue.state import QueueState

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Other:
    number: int


def test_state_is_where_a_message_is(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    system = perdure.System(folder, clock=clock)
    with system:
        want: dict[str, str] = {}

        def took(ident: str) -> perdure.Delivery[Job]:
            delivery = system.checkout(Job, lease=30.0)
            assert delivery is not None
            assert delivery.id == ident
            return delivery

        want[done := system.publish(Job(0))] = "completed"
        took(done).ack()
        want[special := system.publish(Job(0), priority=5, keep_result=60.0)] = "completed"
        took(special).ack()
        want[dead := system.publish(Job(1))] = "dead"
        took(dead).reject("no")
        want[system.publish(Other(2))] = "purged"
        other = system.checkout(Other)
        assert other is not None
        other.reject("no")
        system.dead_letters.purge(type=Other)
        want[system.publish(Job(3), key="k")] = "superseded"
        want[held := system.publish(Job(4), key="k", group="g")] = "cancelled"
        assert system.state(held).status == "ready"
        system.cancel(held)
        want[short := system.publish(Job(5), ttl=5.0)] = "expired"
        assert system.state(short).expires is not None
        clock.advance(6.0)
        until(lambda: system.admin.metrics().expired)
        want[leased := system.publish(Job(6), group="g", priority=7)] = "leased"
        delivery = took(leased)
        delivery.heartbeat(40.0, "on it")
        want[system.publish(Job(7), group="g")] = "held"
        want[delayed := system.publish(Job(8), delay=60.0, key="later")] = "delayed"
        want[system.publish(Job(9))] = "ready"
        want["nobody's"] = "unknown"

        states = {ident: system.state(ident) for ident in want}
        assert {ident: state.status for ident, state in states.items()} == want
        assert [state.live for state in states.values()] == [
            state.status in ("ready", "delayed", "held", "leased") for state in states.values()
        ]
        out = states[leased]
        assert (out.attempts, out.percent, out.note, out.group, out.priority) == (1, 40.0, "on it", "g", 7)
        assert out.lease_until is not None
        assert states[delayed].due is not None
        assert (states[delayed].key, states[delayed].type) == ("later", f"{Job.__module__}.Job")
        assert states[special].has_result
        assert not states["nobody's"].known
        assert asyncio.run(system.astate(done)) == states[done]
    with system:  # ended messages keep their status; leased ones are back, with their attempt counted
        want[leased] = "ready"
        assert {ident: system.state(ident).status for ident in want} == want


def test_wrong_id_is_refused(folder: Path) -> None:
    with perdure.System(folder) as system:
        for wrong in ("", 5, None):
            with pytest.raises(perdure.InvalidMessage, match="id"):
                system.state(wrong)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(perdure.NotRunning):
        system.state("any")


def test_forgotten_id_has_the_state_forgotten(folder: Path) -> None:
    """Once ids are forgotten, an unknown id that perdure made is `forgotten`; before that it is `unknown`."""
    never = "01890a5d-ac96-7000-8000-000000000001"
    with perdure.System(folder, options=perdure.Options(finished_max=1)) as system:
        assert system.state(never).status == "unknown"
        ids = [system.publish(Job(n), priority=1) for n in range(3)]
        for _ in ids:
            delivery = system.checkout(Job)
            assert delivery is not None
            delivery.ack()
        assert [system.state(ident).status for ident in ids] == ["forgotten", "forgotten", "completed"]
        assert system.state("my-own").status == "unknown"


def test_how_a_message_ended_is_forgotten_with_its_id() -> None:
    """How a message ended is bounded as ids are, and is in the snapshot; a snapshot of an older version does not have it."""
    state = QueueState(finished_max=3)
    for n in range(10):
        for command in (Publish([Draft(f"m{n}", "t", b"")]), Cancel(f"m{n}", "")):
            evolve_all(state, queue_rules.decide(state, command, 1, Limits()))
    assert len(state.fates) == 3
    assert [look_up(state, f"m{n}").status for n in (0, 6, 7, 9)] == ["unknown", "unknown", "cancelled", "cancelled"]
    plain = dump_queue(state)
    assert look_up(load_queue(plain), "m9").status == "cancelled"
    del plain["fates"]
    assert look_up(load_queue(plain), "m9").status == "ended"
