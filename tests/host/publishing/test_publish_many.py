"""Many messages in one commit: a key and an id for each, and no one for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Row:
    number: int


ROWS = [Row(n) for n in range(3)]


def taken(system: perdure.System) -> list[tuple[int, str, str | None]]:
    """Give what waits, in order: number, id and key."""
    found = []
    while (delivery := system.checkout(Row)) is not None:
        found.append((delivery.message.number, delivery.id, delivery.key))
        delivery.ack()
    return found


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"key": "import"}, "key: one for all 3 messages.*keys="),
        ({"id": "import"}, "id: one for all 3 messages.*ids="),
        ({"keys": ["a", "b"]}, "keys: one for each of 3 messages, in order, not 2"),
        ({"ids": ["a", "b", "c", "d"]}, "ids: one for each of 3 messages, in order, not 4"),
        ({"keys": []}, "keys: one for each"),
        ({"keys": {"a", "b", "c"}}, "keys: a list of one for each message, in order"),
        ({"ids": {"a": 1, "b": 2, "c": 3}}, "ids: a list of one for each message, in order"),
        ({"keys": "abc"}, "keys: a list"),
        ({"ids": 5}, "ids: a list"),
        ({"keys": ["a", 5, "c"]}, "key: a string"),
        ({"ids": ["a", "", "c"]}, "id: a string"),
        ({"keys": ["a", "b", "c"], "key": "d"}, "key: one for all"),
    ],
)
def test_wrong_keys_and_ids_are_refused_and_nothing_is_published(folder: Path, options: dict[str, Any], error: str) -> None:
    with perdure.System(folder) as system:
        with pytest.raises(perdure.InvalidMessage, match=error):
            system.publish_many(ROWS, **options)
        assert system.admin.metrics().published == 0


def test_each_message_has_its_own_key_and_id(folder: Path) -> None:
    with perdure.System(folder) as system:
        ids = system.publish_many(ROWS, keys=iter(["a", None, "c"]), ids=("x", "y", None), correlation_id="import")
        assert ids[:2] == ["x", "y"]
        assert taken(system) == [(0, "x", "a"), (1, "y", None), (2, ids[2], "c")]


def test_ids_make_it_idempotent(folder: Path) -> None:
    """What is known adds nothing, of the same id in one batch the first counts, and the ids are given as they were named."""
    with perdure.System(folder) as system:
        system.publish(Row(7), id="y")
        assert system.publish_many(ROWS, ids=["x", "y", "x"]) == ["x", "y", "x"]
        assert system.publish_many(ROWS, ids=["x", "y", "z"]) == ["x", "y", "z"]
        assert taken(system) == [(7, "y", None), (0, "x", None), (2, "z", None)]
        assert system.publish_many([], keys=[], ids=[]) == []


def test_a_key_twice_in_a_batch_follows_its_policy(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish_many(ROWS, keys=["a", "b", "a"])
        assert [(number, key) for number, _, key in taken(system)] == [(2, "a"), (1, "b")]
        with pytest.raises(perdure.DuplicateKey):
            system.publish_many(ROWS, keys=["a", "b", "a"], dedup="reject")
        system.publish_many(ROWS, keys=["a", "b", "a"], dedup="append")
        assert [number for number, _, _ in taken(system)] == [0, 1, 2]


@pytest.mark.parametrize("messages", ["one text", b"bytes", {"number": 1}, {1, 2}, ROWS[0], None])
def test_messages_that_are_not_several_in_order_are_refused(messages: Any) -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        with pytest.raises(perdure.InvalidMessage, match="messages: a list of messages; `publish` takes a single one, not"):
            system.publish_many(messages)
        assert system.admin.metrics().published == 0
