"""What handlers publish for another partition: its id, its place, and that it is there before its parent is completed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.workers.gates.gated_worker import GatedWorker
from perdure.cluster.across.children import Children, derived_id
from perdure.cluster.routing import of_id, of_text
from perdure.events.commands import Done, Draft
from perdure.events.errors import StoreUnavailable
from perdure.payloads.type_names import TypeNames

if TYPE_CHECKING:
    from collections.abc import Callable

PARTITIONS = 16
HERE = 3
KEY_HERE, KEY_AWAY = (
    next(f"key {n}" for n in range(500) if (of_text(f"key {n}", PARTITIONS) == HERE) is is_here) for is_here in (True, False)
)


def children(publish: Callable[[list[Draft]], None] = lambda _: None) -> Children:
    return Children(HERE, PARTITIONS, TypeNames(), publish)


def parent(ident: str = "parent") -> Any:
    """An attempt of a message that has published nothing yet."""
    return SimpleNamespace(id=ident, sent_away=0)


def ended(children: Children, outcome: Done, *, lost: bool = False) -> Any:
    """Return what a worker reports of an attempt."""
    worker = SimpleNamespace(
        gate=SimpleNamespace(children=children),
        failures=SimpleNamespace(failure=lambda _pool, _delivery, error: error),
        pool=None,
    )
    return GatedWorker._sent(worker, SimpleNamespace(lost=lost), outcome)  # type: ignore[arg-type] # it asks for no more


def test_each_place_of_an_attempt_has_an_id_that_the_next_attempt_gives_again() -> None:
    def published() -> list[str | None]:
        attempt = parent()
        return [children().id_for(attempt, {}, {"key": KEY_AWAY}) for _ in range(3)]

    first = published()
    assert None not in first
    assert published() == first
    assert len(set(first)) == 3
    assert {of_id(str(ident), PARTITIONS) for ident in first} == {of_text(KEY_AWAY, PARTITIONS)}
    assert children().id_for(parent("another"), {}, {"key": KEY_AWAY}) not in first


def test_ids_differ_by_parent_place_type_and_label() -> None:
    said = ("parent", 1, "child", "key", 7)
    others = [
        ("other", 1, "child", "key", 7),
        ("parent", 2, "child", "key", 7),
        ("parent", 1, "x", "key", 7),
        ("parent", 1, "child", "k", 7),
    ]
    assert derived_id(*said) == derived_id(*said)
    assert of_id(derived_id(*said), 16) == 7
    assert len({derived_id(*each) for each in [said, *others]}) == 5


def test_what_stays_or_has_an_id_gets_none() -> None:
    for options in ({"key": KEY_HERE}, {}, {"key": KEY_AWAY, "id": "given"}, {"group": KEY_HERE}):
        assert children().id_for(parent(), {}, options) is None


def test_a_group_tells_the_partition_before_a_key() -> None:
    assert children().id_for(parent(), {}, {"group": KEY_HERE, "key": KEY_AWAY}) is None
    ident = children().id_for(parent(), {}, {"group": KEY_AWAY, "key": KEY_HERE})
    assert of_id(str(ident), PARTITIONS) == of_text(KEY_AWAY, PARTITIONS)
    grouped = Draft("a", "child", b"", key=KEY_HERE, group=KEY_AWAY)
    assert children().away([grouped, Draft("b", "child", b"", key=KEY_AWAY, group=KEY_HERE)]) == [grouped]


def test_they_are_there_before_the_parent_is_completed_and_are_no_part_of_its_completion() -> None:
    stays, goes = Draft("a", "child", b"", key=KEY_HERE), Draft("b", "child", b"", key=KEY_AWAY)
    sent: list[Draft] = []
    outcome = ended(children(sent.extend), Done(1, "parent", 1, drafts=(stays, goes)))
    assert sent == [goes]
    assert outcome.drafts == (stays,)
    assert ended(children(sent.extend), Done(1, "parent", 1, drafts=(stays,))).drafts == (stays,)
    assert sent == [goes]


def test_if_they_cannot_be_committed_the_attempt_has_failed() -> None:
    def refuse(_drafts: list[Draft]) -> None:
        raise StoreUnavailable("no database")

    outcome = ended(children(refuse), Done(1, "parent", 1, drafts=(Draft("b", "child", b"", key=KEY_AWAY),)))
    assert isinstance(outcome, StoreUnavailable)


def test_a_lost_attempt_publishes_nothing_anywhere() -> None:
    done = Done(1, "parent", 1, drafts=(Draft("b", "child", b"", key=KEY_AWAY),))
    assert ended(children(lambda drafts: pytest.fail(f"published: {drafts}")), done, lost=True) == done
