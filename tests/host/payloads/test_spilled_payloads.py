"""Payloads beyond `Options.resident_payload_bytes` wait on the disk; users see no difference."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs

import perdure
from perdure.store.files.payload_spill import PayloadSpill

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

OPTIONS = perdure.Options(resident_payload_bytes=50_000, gc_threshold=0)
N = 5000


@perdure.message(name="tests.Bulky")
@attrs.frozen
class Bulky:
    number: int
    body: bytes


def bulky(i: int) -> Bulky:
    return Bulky(i, random.Random(i).randbytes(400))


def spilled_bytes(system: perdure.System) -> int:
    system.admin.metrics()  # one pass of the queue later, the figure is that of all that was published before
    return system.runtime.figures.spilled_bytes


def test_a_backlog_beyond_the_bound_is_handled_in_order(tmp_path: Path) -> None:
    """Across a restart too, which finds no snapshot that holds it and folds the log anew."""
    with perdure.System(tmp_path / "data", options=OPTIONS) as system:
        for start in range(0, N, 500):
            system.publish_many([bulky(i) for i in range(start, start + 500)])
        assert spilled_bytes(system) > N * 400 * 0.9
    system = perdure.System(tmp_path / "data", options=OPTIONS)
    seen: list[Bulky] = []

    @system.handler(Bulky)
    def handle(message: Bulky, ctx: perdure.Context) -> None:
        seen.append(message)

    with system:
        system.drain(60)
        assert spilled_bytes(system) == 0
    assert seen == [bulky(i) for i in range(N)]


def test_spilled_messages_can_fail_be_cancelled_and_checked_out(tmp_path: Path) -> None:
    system = perdure.System(tmp_path / "data", options=OPTIONS)
    with system:
        ids = [ident for start in range(0, N, 500) for ident in system.publish_many([bulky(i) for i in range(start, start + 500)])]
        assert spilled_bytes(system) > 0
        assert system.cancel(ids[3000])
        delivery = system.checkout(Bulky, lease=30.0)
        assert delivery is not None
        assert delivery.message == bulky(0)
        delivery.requeue("not now")
        seen: list[int] = []

        @system.handler(Bulky, retries=1, backoff=0.0)
        def handle(message: Bulky, ctx: perdure.Context) -> None:
            assert message == bulky(message.number)
            if message.number % 1000 == 7:
                msg = "never works"
                raise ValueError(msg)
            seen.append(message.number)

        system.actors.kill("queue")
        system.drain(60)
        letters = system.dead_letters.list()
        assert sorted(letter.message.number for letter in letters) == [7, 1007, 2007, 3007, 4007]
        assert all(letter.message == bulky(letter.message.number) for letter in letters)
    assert sorted(seen) == [i for i in range(N) if i % 1000 != 7 and i != 3000]


def test_payloads_stay_in_memory_where_the_spill_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_spill: PayloadSpill, _payloads: list[bytes]) -> list[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PayloadSpill, "put", full)
    system = perdure.System(tmp_path / "data", options=OPTIONS)
    seen: list[int] = []

    @system.handler(Bulky)
    def handle(message: Bulky, ctx: perdure.Context) -> None:
        seen.append(message.number)

    with system:
        system.admin.pause()
        system.publish_many([bulky(i) for i in range(3000)])
        assert spilled_bytes(system) == 0
        system.admin.resume()
        system.drain(60)
    assert seen == list(range(3000))
