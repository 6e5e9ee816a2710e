"""Bulk acts on dead letters: what the dry run counted is hit, no more; commits are bounded; a killed owner's successor goes on."""

from __future__ import annotations

import signal
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.services import bulk_runner
from perdure.events import vocabulary as ev
from perdure.events.queue import bulk_acts
from perdure.security import operator
from tests.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@perdure.message(name="bulk.Order")
@attrs.frozen
class Order:
    number: int
    customer: dict[str, Any] = attrs.field(factory=dict)


@perdure.message(name="bulk.Note")
@attrs.frozen
class Note:
    text: str


class Shop:
    """A system whose handler fails until it is mended."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.is_mended = False
        self.seen: list[Order] = []
        self.system = perdure.System(folder, **options)
        self.system.handler(Order, retries=0)(self.handle)
        self.system.handler(Note, retries=0)(self.handle)

    def handle(self, message: Any) -> None:
        if not self.is_mended:
            text = "no stock" if isinstance(message, Note) or message.number % 2 else "timeout"
            raise ValueError(text)
        self.seen.append(message)

    def publish(self, *messages: Any, **options: Any) -> list[str]:
        ids = self.system.publish_many(list(messages), **options)
        self.system.drain(timeout=60)
        return ids


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "q", shared=True)
    with made.system:
        yield made


def test_a_bulk_act_hits_what_its_expression_means(shop: Shop, tmp_path: Path) -> None:
    shop.publish(*[Order(n, {"id": n % 3}) for n in range(30)], Note("n"))
    letters = shop.system.dead_letters
    counted = letters.count_where("type=bulk.Order error~timeout payload.customer.id=1")
    assert (counted.count, counted.by_type) == (5, {"bulk.Order": 5})
    assert len(letters.list(where=counted.where)) == 5
    shop.is_mended = True
    seen: list[perdure.BulkAct] = []
    with perdure.acting_as("ann", reason="ticket 7"):
        act = letters.replay_where(counted, progress=seen.append)
    shop.system.drain(timeout=60)
    assert (act.counted, act.changed, act.passed_over, act.changed_meanwhile, act.is_over) == (5, 5, 0, 0, True)
    assert sorted(order.number for order in shop.seen) == [4, 10, 16, 22, 28]
    assert seen[-1] == act == letters.bulk(act.id) == letters.bulks()[0]
    (on_record,) = perdure.Audit(tmp_path / "q").acts()
    assert (on_record.action, on_record.subject, on_record.count) == ("replay", counted.where, 5)
    assert (on_record.principal, on_record.reason) == ("ann", "ticket 7")


def test_what_died_after_the_dry_run_is_not_hit_and_what_others_changed_is_told(shop: Shop) -> None:
    first = shop.publish(*[Order(n) for n in range(6)])
    letters = shop.system.dead_letters
    counted = letters.count_where("type=bulk.Order")
    (late,) = shop.publish(Order(7))
    letters.purge(type="bulk.Note")
    letters.replay(first[0])  # it dies again: another death than the one that was counted
    shop.system.drain(timeout=60)
    act = letters.purge_where(counted)
    assert (act.counted, act.changed, act.changed_meanwhile) == (6, 5, 1)
    assert {letter.id for letter in letters.list()} == {first[0], late}


def test_a_letter_whose_key_is_held_is_passed_over(shop: Shop) -> None:
    shop.publish(Order(1), Order(2), keys=["a", "b"])
    shop.system.admin.pause(Order)
    shop.system.publish(Order(3), key="a")
    act = shop.system.dead_letters.replay_where("type=bulk.Order")
    assert (act.changed, act.passed_over, act.changed_meanwhile) == (1, 1, 0)
    assert [letter.key for letter in shop.system.dead_letters.list()] == ["a"]


def test_an_edit_sets_values_in_each_payload_and_passes_over_what_has_no_such_place(shop: Shop) -> None:
    shop.publish(Order(1, {"id": "seven"}), Order(2, {"id": "eight"}), Note("n"))
    shop.is_mended = True
    act = shop.system.dead_letters.edit_where("event=DeadLettered", {"customer.id": 7})
    shop.system.drain(timeout=60)
    assert (act.changed, act.passed_over) == (2, 1)
    assert [order.customer for order in shop.seen] == [{"id": 7}, {"id": 7}]
    assert all(r.event.edited for r in shop.system.audit.events() if isinstance(r.event, ev.Replayed))


def test_a_client_begins_it_and_the_owner_goes_on_alone(shop: Shop, tmp_path: Path) -> None:
    shop.publish(*[Order(n) for n in range(10)])
    with perdure.connect(tmp_path / "q") as client:
        act = client.dead_letters.purge_where("type=bulk.Order", timeout=0)
        assert (act.counted, act.is_over) == (10, False)
        over = client.dead_letters.purge_where("type=bulk.Order")  # the one before comes first
    assert shop.system.dead_letters.bulk(act.id).changed == 10
    assert (over.changed, over.is_over) == (0, True)


def test_an_act_that_is_known_under_its_id_is_not_begun_again(shop: Shop) -> None:
    shop.publish(*[Order(n) for n in range(4)])
    letters = shop.system.dead_letters
    first = letters.replay_where("type=bulk.Order", id="ticket 7")
    shop.system.drain(timeout=60)
    assert (first.id, first.changed) == ("ticket 7", 4)
    assert letters.stats().total == 4  # they have died again
    assert letters.replay_where("type=bulk.Order", id="ticket 7") == first
    others: list[Callable[[], object]] = [
        lambda: letters.purge_where("type=bulk.Order", id="ticket 7"),
        lambda: letters.replay_where("error~timeout", id="ticket 7"),
        lambda: shop.system.admin.cancel_where("type=bulk.Order", id="ticket 7"),
    ]
    for another in others:
        with pytest.raises(perdure.InvalidMessage, match=r"that of another bulk act, replay of 'type=bulk\.Order'"):
            another()
    with pytest.raises(perdure.InvalidMessage, match="id"):
        letters.purge_where("type=bulk.Order", id="")
    edit = letters.edit_where("type=bulk.Order", {"number": 1}, id="ticket 8")
    shop.system.drain(timeout=60)
    assert letters.edit_where("type=bulk.Order", {"number": 1}, id="ticket 8") == edit
    with pytest.raises(perdure.InvalidMessage, match="another bulk act"):
        letters.edit_where("type=bulk.Order", {"number": 2}, id="ticket 8")
    assert letters.stats().total == 4


def test_an_edit_to_a_value_that_is_not_equal_to_itself_is_one_act(shop: Shop, tmp_path: Path) -> None:
    shop.publish(Order(1))
    with perdure.connect(tmp_path / "q") as client:
        for front in (shop.system, client):
            edit = front.dead_letters.edit_where("type=bulk.Order", {"number": float("nan")}, id=f"of {front!r}"[:40], timeout=0)
            again = front.dead_letters.edit_where("type=bulk.Order", {"number": float("nan")}, id=edit.id)
            assert again.id == edit.id


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [101, 500, *range(940, 1_000, 5), 5_000])
def test_a_value_is_as_deep_as_every_thread_can_read_or_refused(shop: Shop, depth: int) -> None:
    """Asked in a thread, whose stack is less deep than that of an actor: what it can write, an actor may not be able to measure."""
    with perdure.connect(shop.folder) as client, ThreadPoolExecutor(1) as pool:
        for front in (shop.system, client):
            asked = pool.submit(front.dead_letters.edit_where, "type=bulk.Order", {"number": nested(depth)}, timeout=10)
            with pytest.raises(perdure.InvalidMessage, match=r"^changes: "):
                asked.result()
    assert shop.system.running


def test_a_value_of_the_greatest_depth_is_set(shop: Shop) -> None:
    shop.publish(Note("a"))
    shop.is_mended = True
    act = shop.system.dead_letters.edit_where("type=bulk.Note", {"text": nested(bulk_acts.DEPTH_MAX)})
    assert act.changed == 1
    shop.system.admin.snapshot()
    assert shop.system.dead_letters.bulk(act.id).is_over


def test_commits_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_runner, "LETTERS_MAX", 3)
    monkeypatch.setattr(bulk_runner, "LOOKS_MAX", 5)
    shop.publish(*[Order(n) for n in range(20)])
    act = shop.system.dead_letters.purge_where("error~timeout")
    advanced = [r.event for r in shop.system.audit.events() if isinstance(r.event, ev.BulkAdvanced)]
    assert act.changed == 10 == sum(event.changed for event in advanced)
    assert max(event.changed for event in advanced) <= 3


def test_the_runner_may_die_in_the_middle(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_runner, "LETTERS_MAX", 2)
    shop.publish(*[Order(n) for n in range(60)])
    killed: list[int] = []

    def kill(act: perdure.BulkAct) -> None:
        if len(killed) < 3 and not act.is_over and "bulk_runner" in shop.system.actors:
            killed.append(act.changed)
            shop.system.actors.kill("bulk_runner")

    act = shop.system.dead_letters.purge_where("type=bulk.Order", progress=kill, timeout=60)
    assert (act.changed, act.is_over) == (60, True)
    assert killed


@pytest.mark.parametrize("where", ["", "nonsense", "colour=red", "type='"])
def test_an_expression_that_is_none_is_refused(shop: Shop, where: str) -> None:
    with pytest.raises(perdure.InvalidMessage):
        shop.system.dead_letters.count_where(where)
    with pytest.raises(perdure.InvalidMessage):
        shop.system.dead_letters.purge_where(where)


def test_rights_are_asked_for_each_type_that_it_means(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def authorize(principal: str, action: str, type: str) -> bool:
        asked.append((action, type))
        return operator(principal, action, type)

    guarded = Shop(tmp_path / "q", shared=True, authorize=authorize)
    with guarded.system, perdure.connect(tmp_path / "q") as client:
        guarded.publish(Order(1), Note("n"))
        with pytest.raises(perdure.NotAllowed, match="'purge' for bulk"):
            client.dead_letters.purge_where("error~stock")
        with perdure.acting_as("ann"), pytest.raises(perdure.NotAllowed, match="'purge' for bulk"):
            guarded.system.dead_letters.purge_where("error~stock")
        asked.clear()
        assert client.dead_letters.replay_where("event=DeadLettered").changed == 2
        assert {("replay", "bulk.Order"), ("replay", "bulk.Note")} <= set(asked)


KILLED_IN_THE_MIDDLE = """
    import os, signal, sys
    import perdure
    from perdure.actors.services import bulk_runner
    bulk_runner.LETTERS_MAX = 20

    def kill(act):
        if 0 < act.changed < act.counted:
            os.kill(os.getpid(), signal.SIGKILL)

    def fail(message):
        raise ValueError("no stock")

    system = perdure.System(sys.argv[1])
    with system:
        system.handler(dict, retries=0)(fail)
        system.publish_many([{"n": n} for n in range(1000)])
        system.drain(timeout=60)
        with perdure.acting_as("ann"):
            system.dead_letters.purge_where("error~stock payload.n<900", progress=kill)
"""


def test_a_bulk_act_goes_on_in_the_next_run_after_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "q"
    child = run(["-c", textwrap.dedent(KILLED_IN_THE_MIDDLE), str(folder)], timeout=120)
    assert child.returncode == -signal.SIGKILL, child.stderr
    with perdure.System(folder) as system:
        (act,) = system.dead_letters.bulks()
        while not act.is_over:
            act = system.dead_letters.bulk(act.id)
        assert (act.counted, act.changed, act.changed_meanwhile) == (900, 900, 0)
        assert system.dead_letters.stats().total == 100
    assert sum(a.count for a in perdure.Audit(folder).acts()) == 900
    assert {a.principal for a in perdure.Audit(folder).acts()} == {"ann"}
