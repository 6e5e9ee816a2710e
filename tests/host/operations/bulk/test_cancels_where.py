"""Cancelling by an expression: what waits and what runs, just what was counted, from a client too; a killed runner goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.actors.services import bulk_runner
from perdure.events import vocabulary as ev
from perdure.events.structures import pieces
from perdure.security import roles, viewer

if TYPE_CHECKING:
    from pathlib import Path


PATIENCE_S = 60.0


@perdure.message(name="cancels.Order")
@attrs.frozen
class Order:
    number: int
    customer: int = 0


def test_what_waits_and_what_runs_is_cancelled_and_the_record_says_by_whom(tmp_path: Path) -> None:
    begun, seen_cancelled = threading.Event(), threading.Event()
    with perdure.System(tmp_path / "q", shared=True) as system:

        @system.handler(Order)
        def handle(_order: Order, ctx: perdure.Context) -> None:
            begun.set()
            if _is_cancelled(ctx):
                seen_cancelled.set()

        running = system.publish(Order(0, 1))
        assert begun.wait(PATIENCE_S)
        waiting = system.publish_many([Order(n, n % 2) for n in range(1, 11)])
        delayed = system.publish(Order(11, 1), delay=3600)
        with perdure.connect(tmp_path / "q") as client:
            counted = client.admin.count_where("type=cancels.Order payload.customer=1")
            assert (counted.count, counted.by_type) == (7, {"cancels.Order": 7})
            late = client.publish(Order(12, 1))
            with perdure.acting_as("ann", reason="ticket 9"):
                act = client.admin.cancel_where(counted)
        assert (act.action, act.changed, act.changed_meanwhile, act.is_over) == ("cancel", 7, 0, True)
        assert seen_cancelled.wait(PATIENCE_S)
        states = [system.state(ident).status for ident in (running, *waiting, delayed, late)]
        assert [state == "cancelled" for state in states] == [True, *(n % 2 == 1 for n in range(1, 11)), True, False]
        (on_record,) = system.audit.acts()
        assert (on_record.action, on_record.count, on_record.reason) == ("cancel", 7, "ticket 9")
        system.admin.cancel_where("type=cancels.Order")
        system.drain(timeout=PATIENCE_S)


def _is_cancelled(ctx: perdure.Context) -> bool:
    waiter = threading.Event()
    for _ in range(int(PATIENCE_S * 100)):
        if ctx.cancelled:
            return True
        waiter.wait(0.01)
    return False


def test_commits_are_bounded_and_a_killed_runner_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_runner, "LETTERS_MAX", 10)
    with perdure.System(tmp_path / "q") as system:
        system.publish_many([Order(n) for n in range(95)])
        killed: list[perdure.BulkAct] = []

        def kill_once(act: perdure.BulkAct) -> None:
            if act.changed and not act.is_over and not killed:
                killed.append(act)
                system.actors.kill("bulk_runner")

        act = system.admin.cancel_where("type=cancels.Order", progress=kill_once)
        assert (act.changed, act.is_over) == (95, True)
        commits = [r.event.changed for r in system.audit.events() if isinstance(r.event, ev.BulkAdvanced)]
        assert (max(commits), sum(commits)) == (10, 95)


def test_a_look_at_all_letters_or_messages_lets_publishes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks at so many a turn; between two turns the actor takes what came meanwhile."""
    monkeypatch.setattr(pieces, "PIECE", 1)
    with perdure.System(tmp_path / "q") as system:
        system.publish_many([Order(n) for n in range(300)])
        for _ in range(100):
            delivery = system.checkout(Order)
            assert delivery is not None
            delivery.reject("no stock")
        answers: list[str] = []
        looks = [
            threading.Thread(target=lambda: answers.append(str(system.admin.count_where("type=cancels.Order").count))),
            threading.Thread(target=lambda: answers.append(str(system.dead_letters.count_where("reason~stock").count))),
            threading.Thread(target=lambda: answers.append(str(len(system.dead_letters.list(where="reason~stock"))))),
            threading.Thread(target=lambda: answers.append(str(system.dead_letters.stats().total))),
        ]
        for look in looks:
            look.start()
        system.publish(Order(300))
        for look in looks:
            look.join(PATIENCE_S)
        assert sorted(set(answers)) in (["100", "200"], ["100", "201"])


def test_rights_are_asked_by_type_before_anything_is_cancelled(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "q", authorize=roles({"ann": perdure.security.operator}, default=viewer)) as system:
        system.publish(Order(1))
        with perdure.acting_as("bob"), pytest.raises(perdure.NotAllowed):
            system.admin.cancel_where("type=cancels.Order")
        with perdure.acting_as("ann"):
            assert system.admin.cancel_where("type=cancels.Order").changed == 1
