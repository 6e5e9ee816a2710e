"""Payloads that an earlier version of the application wrote: brought up to today's version, or a dead letter with their bytes.

How upcasters are declared is in `test_upcasters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

import perdure
from perdure.events import vocabulary as ev
from tests.records import events_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected


def test_undecodable_payload_is_a_dead_letter_with_its_bytes(folder: Path, collected: Collected) -> None:
    """Scenario 54: it becomes a dead letter at once, and the queue behind it moves on."""

    @perdure.message(name="thing")
    @attrs.frozen
    class Old:
        name: str

    @perdure.message(name="thing")
    @attrs.frozen
    class New:
        size: int

    with perdure.System(folder) as system:
        old = system.publish(Old("x"))
    system = perdure.System(folder)

    @system.handler(New)
    def handle(message: New, ctx: perdure.Context) -> None:
        collected.add(message.size)

    with system:
        system.publish(New(3))
        assert collected.wait_for(1) == [3]
        system.drain(timeout=10.0)
        (letter,) = system.dead_letters.list()
        assert (letter.id, letter.attempts) == (old, 1)
        assert isinstance(letter.message, bytes)
        assert b"x" in letter.message
        assert "cannot be decoded" in letter.reason
        system.dead_letters.replay(old, message=New(4))
        assert collected.wait_for(2) == [3, 4]
        (replayed,) = events_of(ev.Replayed, system.audit.events(type="Replayed"))
        assert replayed.edited


def test_payload_of_an_older_version_is_brought_up(folder: Path, collected: Collected) -> None:
    @perdure.message(name="order")
    @attrs.frozen
    class First:
        amount: float

    def split(fields: dict[str, Any]) -> dict[str, Any]:
        return {"cents": round(fields["amount"] * 100)}

    def with_currency(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "currency": "EUR"}

    @perdure.message(name="order", version=3, upcasters={1: split, 2: with_currency})
    @attrs.frozen
    class Third:
        cents: int
        currency: str

    with perdure.System(folder) as system:
        system.publish(First(1.25))
    system = perdure.System(folder)

    @system.handler(Third)
    def handle(message: Third, ctx: perdure.Context) -> None:
        collected.add(message)

    with system:
        system.publish(Third(7, "USD"))
        assert set(collected.wait_for(2)) == {Third(125, "EUR"), Third(7, "USD")}
