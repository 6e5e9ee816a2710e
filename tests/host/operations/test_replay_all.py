"""`dead_letters.replay_all` in bounded commits: publishes go on in between, and letters that are gone are skipped."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem
from perdure.events.commands import Replay
from perdure.operations import dead_letters as module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@attrs.frozen
class Bill:
    """A message."""

    number: int


@contextlib.contextmanager
def dead_lettered(n: int, *, key: str | None = None, **options: Any) -> Iterator[SimulatedSystem]:
    """Run a system with `n` dead letters and a paused handler."""
    system = SimulatedSystem(options=perdure.Options(**options))

    @system.handler(Bill, retries=0)
    def fail(bill: Bill) -> None:
        raise ValueError(bill.number)

    with system:
        for i in range(n):
            system.publish(Bill(i), key=key and f"{key}{i}")
            system.advance(0.1)
        system.admin.pause(Bill)
        assert system.dead_letters.stats().total == n
        yield system


def watch(system: SimulatedSystem, monkeypatch: pytest.MonkeyPatch, before: Any = None) -> list[int]:
    """Return a list to which the size of each `Replay` that the queue receives is appended."""
    sizes: list[int] = []
    ask = system.ask

    def asking(target: str, command: Any, *args: Any, **options: Any) -> Any:
        if isinstance(command, Replay):
            sizes.append(len(command.items))
            if before is not None:
                before(len(sizes))
        return ask(target, command, *args, **options)

    monkeypatch.setattr(system, "ask", asking)
    return sizes


def test_many_letters_are_replayed_in_bounded_commits_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPLAY_COMMIT_MAX", 3)
    with dead_lettered(8) as system:
        sizes = watch(system, monkeypatch, lambda _: system.publish(Bill(99)))
        assert system.dead_letters.replay_all() == 8
        assert sizes == [3, 3, 2]
        assert system.admin.metrics().ready == 8 + len(sizes), "a publish between two commits is not held up"
        assert system.dead_letters.stats().total == 0


def test_a_commit_is_bounded_in_bytes_with_all_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPLAY_COMMIT_BYTES", 1_000)
    with dead_lettered(6) as system:
        sizes = watch(system, monkeypatch)
        assert system.dead_letters.replay_all(reset_retries=False) == 6
        assert len(sizes) > 1
        assert sum(sizes) == 6


def test_letter_larger_than_the_bound_gets_its_own_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPLAY_COMMIT_BYTES", 1)
    with dead_lettered(3) as system:
        sizes = watch(system, monkeypatch)
        assert system.dead_letters.replay_all() == 3
        assert sizes == [1, 1, 1]


@pytest.mark.parametrize("many", [2, 100])
def test_letters_gone_meanwhile_are_skipped_and_not_counted(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(module, "REPLAY_COMMIT_MAX", many)
    with dead_lettered(6) as system:
        letters = system.dead_letters.list()

        def before(time: int) -> None:
            if time == 1:
                system.dead_letters.purge(reason="ValueError: 5")
                monkeypatch.undo()
                system.dead_letters.replay(letters[-1].id)

        watch(system, monkeypatch, before)
        assert system.dead_letters.replay_all() == 4
        assert system.dead_letters.stats().total == 0
        assert system.admin.metrics().ready == 5


def test_what_the_bound_drops_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with dead_lettered(3, dead_letters_max=3) as system:

        def before(_time: int) -> None:
            delivery = system.checkout(Bill) if system.publish(Bill(9)) else None
            assert delivery is not None
            delivery.reject("no")

        watch(system, monkeypatch, before)
        assert system.dead_letters.replay_all() == 2
        assert [letter.message for letter in system.dead_letters.list()] == [Bill(9)]


def test_purge_counts_what_it_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    with dead_lettered(4) as system:
        letters = system.dead_letters._select

        def select(selection: Any) -> Any:
            found = letters(selection)
            monkeypatch.undo()
            system.dead_letters.replay(found[0].event.published.id)
            return found

        monkeypatch.setattr(system.dead_letters, "_select", select)
        assert system.dead_letters.purge() == 3


def test_taken_key_stops_it_and_the_error_says_how_many_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPLAY_COMMIT_MAX", 2)
    with dead_lettered(5, key="k") as system:
        live = system.publish(Bill(3), key="k3")
        with pytest.raises(perdure.DuplicateKey, match="2 of 5 are replayed") as caught:
            system.dead_letters.replay_all()
        assert caught.value.live_id == live
        assert system.dead_letters.stats().total == 3
        system.cancel(live)
        assert system.dead_letters.replay_all() == 3


def test_few_letters_are_all_replayed_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with dead_lettered(5, key="k") as system:
        system.publish(Bill(3), key="k3")
        with pytest.raises(perdure.DuplicateKey, match="0 of 5 are replayed"):
            system.dead_letters.replay_all()
        assert system.dead_letters.stats().total == 5


def test_interrupted_replay_continues_after_a_restart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPLAY_COMMIT_MAX", 2)
    system = perdure.System(folder)
    with system:
        system.publish_many([Bill(i) for i in range(6)])
        for _ in range(6):
            delivery = system.checkout(Bill)
            assert delivery is not None
            delivery.reject("no")
        ask, times = system.ask, []

        def asking(target: str, command: Any, *args: Any, **options: Any) -> Any:
            if isinstance(command, Replay):
                times.append(1)
                if len(times) > 2:
                    raise perdure.NotRunning("its process ends")
            return ask(target, command, *args, **options)

        monkeypatch.setattr(system, "ask", asking)
        with pytest.raises(perdure.NotRunning, match="ends") as caught:
            system.dead_letters.replay_all()
        assert "4 of 6 are replayed" in "".join(caught.value.__notes__)
    with perdure.System(folder) as again:
        assert again.admin.metrics().ready == 4
        assert again.dead_letters.replay_all() == 2
        assert again.admin.metrics().ready == 6
