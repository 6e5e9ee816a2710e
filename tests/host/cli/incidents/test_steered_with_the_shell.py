"""Incidents of a live system, handled with the shell alone by an operator new to perdure. docs/COMMANDS.md tells them."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import TYPE_CHECKING, Any

import attrs
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0


@perdure.message(name="Order")
@attrs.frozen
class Order:
    number: int
    currency: str | None = None


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    error = "" if result.exception is None else str(result.exception)
    return " ".join(f"{result.output} {error}".split()) if code else " ".join(result.output.split())


def shown(*words: object) -> Any:
    return json.loads(run(*words, "--json"))


def test_a_poison_message_is_found_and_taken_out(tmp_path: Path) -> None:
    folder, failed = tmp_path / "shop", threading.Event()
    system = perdure.System(folder, shared=True)

    @system.handler(Order, retries=1_000, backoff=perdure.Fixed(0.05))
    def charge(order: Order) -> None:
        if order.number == 13:
            failed.set()
            msg = "division by zero in the tax table"
            raise ZeroDivisionError(msg)

    with system:
        poison = system.publish_many([Order(n) for n in range(20)], keys=[f"ORD-{n}" for n in range(20)])[13]
        assert failed.wait(PATIENCE_S)
        # The error rate is up. Which messages fail, and of what?
        while not (found := shown("search", folder, "event=AttemptFailed")):
            pass
        assert [(one["id"], one["key"]) for one in found] == [(poison, "ORD-13")]
        # What happened to it, and what will come of it?
        assert "division by zero in the tax table" in run("timeline", folder, poison)
        assert "attempt" in run("explain", folder, poison)
        # It will fail a thousand times. Take it out, and say why; then look whether all is well.
        run("cancel", folder, poison, "--by", "ann", "--why", "ticket 7: bad tax table")
        system.drain(timeout=PATIENCE_S)
        assert shown("state", folder)["completed"] == 19
    (act,) = shown("acts", folder)
    assert (act["action"], act["subject"], act["principal"], act["reason"]) == ("cancel", poison, "ann", "ticket 7: bad tax table")


def test_what_a_wrong_deploy_killed_is_edited_and_replayed(tmp_path: Path) -> None:
    folder, charged = tmp_path / "shop", []
    system = perdure.System(folder, shared=True)

    @system.handler(Order, retries=0)
    def charge(order: Order) -> None:
        if order.number % 10 == 0:
            msg = "no stock"
            raise LookupError(msg)
        if order.currency is None:  # the new release needs it, and the old publishers do not send it
            msg = "currency is missing"
            raise ValueError(msg)
        charged.append(order.number)

    with system:
        system.publish_many([Order(n) for n in range(1, 41)])
        system.drain(timeout=PATIENCE_S)
        # 40 dead letters: of what?
        reasons = {letter["error"] for letter in shown("dead-letters", "list", folder, "--limit", 50)}
        assert reasons == {"no stock", "currency is missing"}
        # Only those of the deploy are to be mended. Dry run first: it hits 36, and says how to hit just these.
        where = "type=Order error~currency"
        counted = shown("dead-letters", "edit", folder, "--where", where, "--set", "currency=EUR", "--dry-run")
        assert counted["count"] == 36
        late = system.publish(Order(41))  # one more dies meanwhile; and a colleague has purged one
        system.drain(timeout=PATIENCE_S)
        one = shown("dead-letters", "list", folder, "--where", f"{where} payload.number=7")[0]["id"]
        run("dead-letters", "purge", folder, "--where", f"id={one}", "--yes")
        as_counted = f"{counted['seq']}:{counted['count']}"
        words = ("--where", where, "--set", "currency=EUR", "--counted", as_counted, "--by", "ann", "--why", "ticket 8")
        told = run("dead-letters", "edit", folder, *words)
        assert told == "35 edited and back in the queue; 1 had been replayed or removed by others meanwhile"
        system.drain(timeout=PATIENCE_S)
        assert sorted(charged) == [n for n in range(1, 41) if n % 10 and n != 7]
        # What is left: those without stock, and the late one.
        left = shown("dead-letters", "list", folder, "--limit", 50)
        assert {letter["error"] for letter in left if letter["id"] != late} == {"no stock"}
        assert len(left) == 5
        # The record says who did it; the story of a message shows the edit.
        last = shown("acts", folder)[-1]
        assert (last["action"], last["subject"], last["count"], last["principal"]) == ("edit", where, 35, "ann")
        edited = shown("search", folder, "event=Replayed", "payload.number=8")[0]["id"]
        assert "edited: currency None to 'EUR'" in run("timeline", folder, edited)


def test_a_stuck_group_is_found_and_freed(tmp_path: Path) -> None:
    folder, begun, release = tmp_path / "shop", threading.Event(), threading.Event()
    system = perdure.System(folder, shared=True)

    @system.handler(Order, timeout=3_600, retries=0)
    def charge(order: Order, ctx: perdure.Context) -> None:
        if order.number == 0:
            begun.set()
            while not ctx.cancelled and not release.wait(0.01):  # a call to a bank that never answers
                pass

    with system:
        first, *_, last = [system.publish(Order(n), group="ORD") for n in range(5)]
        assert begun.wait(PATIENCE_S)
        # A customer asks for the last order. Where is it, and what does it wait for?
        told = run("explain", folder, last)
        assert "group" in told
        assert f"message {first} comes before it" in " ".join(told.split())
        front = shown("explain", folder, first)["explanation"]
        assert "4 message(s) of its group 'ORD' wait for it" in front
        # The story of the one in front: it has run for an hour. Cancel it, and the group goes on.
        found = shown("search", folder, "group=ORD", "event=Leased")
        assert [one["id"] for one in found] == [first]
        run("cancel", folder, first, "--why", "the bank does not answer")
        system.drain(timeout=PATIENCE_S)
        release.set()
        assert shown("explain", folder, last)["explanation"]
        assert system.state(last).status == "completed"


def test_an_auditors_question_about_last_tuesday(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    tuesday = dt.datetime(2026, 11, 17, 9, 0, tzinfo=dt.UTC)
    clock = perdure.ManualClock(round(tuesday.timestamp()) * 1_000_000)
    with perdure.System(folder, clock=clock) as system:
        system.publish_many([Order(n) for n in range(3)])
        clock.advance(3_600)
        with perdure.acting_as("ann", reason="stocktaking"):
            system.admin.pause(Order)
        clock.advance(86_400)
        with perdure.acting_as("bob"):
            system.admin.resume(Order)
        system.publish(Order(9))
    noon, midnight = "2026-11-17T12:00+00:00", "2026-11-17T00:00+00:00"
    # How many orders waited at noon, and were deliveries paused? By whom, and why?
    assert shown("state", folder, "--at", noon)["ready"] == 3
    assert shown("state", folder)["ready"] == 4
    between = shown("diff", folder, midnight, noon)
    assert [(act["action"], act["principal"], act["reason"]) for act in between["acts"]] == [("pause", "ann", "stocktaking")]
    # Which orders were published on that day?
    assert len(shown("search", folder, "type=Order", "--since", midnight, "--until", "2026-11-17T23:59+00:00")) == 3
    # And is the record whole?
    assert shown("verify", folder)["ok"] is True
