"""The wire codec: every event comes back as it was, tags never change, older versions are brought up, hostile bytes are refused."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.events import vocabulary as ev
from perdure.events.codec import upcast, wire
from perdure.events.errors import StoreCorrupt, StoreUnavailable
from tests.effort import examples

TAGS = {
    1: "Published",
    2: "Superseded",
    3: "Leased",
    4: "LeaseExtended",
    5: "Progressed",
    6: "Completed",
    7: "AttemptFailed",
    8: "LeaseExpired",
    9: "Returned",
    10: "Awakened",
    11: "DeadLettered",
    12: "Replayed",
    13: "Purged",
    14: "Expired",
    15: "LateResultRefused",
    16: "Cancelled",
    17: "KeyHeld",
    18: "KeyFreed",
    19: "ResultKept",
    20: "ResultDropped",
    21: "Paced",
    22: "Ticked",
    23: "MessagesAdministered",
    24: "BulkBegun",
    25: "BulkAdvanced",
    26: "BulkEnded",
    32: "HandlerRegistered",
    33: "Scaled",
    34: "Paused",
    35: "Resumed",
    36: "Reconfigured",
    37: "Adapted",
    40: "HandlersAdministered",
    48: "Started",
    49: "Stopped",
    50: "ActorRestarted",
    51: "ProcessJoined",
    52: "ProcessLeft",
}
"""The tags on disk. A line may be added here, never changed."""

texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(0, 2**62)
plain = st.dictionaries(texts, st.one_of(numbers, texts, st.none(), st.booleans()), max_size=3)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "int": numbers,
    "str": texts,
    "bytes": st.binary(max_size=20),
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False),
    "dict[str, str]": st.dictionaries(texts, texts, max_size=2),
    "dict[str, Any]": plain,
}


def by_type(annotation: str) -> st.SearchStrategy[Any]:
    """Return values of a field, by its annotation; one that is not known here is an error, so that no field is passed over."""
    kind, _, rest = annotation.partition(" | None")
    assert not rest
    return st.none() | BY_TYPE[kind] if kind != annotation else BY_TYPE[kind]


def of(cls: Any) -> st.SearchStrategy[Any]:
    """Return events of a class, or rows within one: by name, with every field it has."""
    if attrs.has(cls):
        return st.builds(cls, **{field.name: by_type(str(field.type)) for field in attrs.fields(cls)})
    hints = cls.__annotations__
    return st.builds(cls, **{name: by_type(getattr(hints[name], "__forward_arg__", hints[name])) for name in cls._fields})


notes, extras = of(ev.FailureNote), of(ev.Extras)
BY_TYPE["Extras"] = extras
BY_TYPE["list[FailureNote]"] = st.lists(notes, max_size=3)
published = of(ev.Published)
BY_TYPE["Published"] = published
events = st.one_of([of(cls) for cls in ev.VOCABULARY.values()])
batches = st.lists(st.tuples(numbers, st.lists(events, min_size=1, max_size=8)), min_size=1, max_size=4)


def test_tags_are_what_they_were() -> None:
    assert {tag: cls.__name__ for tag, cls in ev.VOCABULARY.items()} == TAGS
    assert {cls.DECIDER for cls in ev.VOCABULARY.values()} == {"queue", "dispatcher", "supervisor"}


@settings(max_examples=examples(300), deadline=None)
@given(batches)
def test_every_event_comes_back_as_it_was(batches: list[wire.Batch]) -> None:
    body = wire.encode(batches)
    assert wire.decode(body, sum(len(events) for _, events in batches)) == batches
    assert b"perdure" not in body.replace(b"perdure.", b"") or any("perdure" in repr(e) for _, es in batches for e in es)


@settings(max_examples=examples(300), deadline=None)
@given(events)
def test_one_event_by_itself_has_the_fields_that_it_has_in_a_run(event: ev.Event) -> None:
    *head, n = wire.encode_rows([event])[:3]
    alone, twice = wire.encode_rows([event])[3:], wire.encode_rows([event, event])
    assert ([*head, 2 * n], [{0: value} for (value,) in alone]) == (twice[:3], twice[3:])


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(published, min_size=2, max_size=30))
def test_long_runs_of_like_events_come_back(run: list[ev.Published]) -> None:
    assert wire.decode(wire.encode([(1, [*run])]), len(run)) == [(1, run)]


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200), st.integers(0, 10**9))
def test_random_bytes_are_refused(body: bytes, count: int) -> None:
    try:
        wire.decode(body, count)
    except (StoreCorrupt, StoreUnavailable):
        return
    assert count == 0


def test_damaged_bytes_are_refused_or_read_whole() -> None:
    body = wire.encode([(5, [ev.Completed(n, 1) for n in range(50)]), (6, [ev.Purged(1, "x"), ev.Stopped("run")])])
    rng = random.Random(1)
    for _ in range(3_000):
        harmed = bytearray(body)
        harmed[rng.randrange(len(body))] = rng.randrange(256)
        try:
            found = wire.decode(bytes(harmed[: rng.choice((len(body), rng.randrange(len(body))))]), 52)
        except (StoreCorrupt, StoreUnavailable):
            continue
        assert sum(len(events) for _, events in found) == 52


def test_huge_claims_take_no_memory() -> None:
    """A constant column of a few bytes must not become a billion events."""
    bomb = msgspec.msgpack.encode([[1, [[ev.Completed.TAG, 1, 10**9, {1: 1}, {0: 1}]]]])
    deep: Any = 1
    for _ in range(2_000):
        deep = [deep]
    tracemalloc.start()
    try:
        for body in (bomb, b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff" + b"\x01" * 10):
            with pytest.raises(StoreCorrupt):
                wire.decode(body, 52)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_events_of_a_newer_version_are_refused_by_name() -> None:
    for run in ([999, 1, 1, [1]], [ev.Completed.TAG, 2, 1, [1], [1]], [ev.Completed.TAG, 1, 1, [1], [1], [1]]):
        with pytest.raises(StoreUnavailable, match="newer"):
            wire.decode(msgspec.msgpack.encode([[1, [run]]]), 1)


def test_shorter_rows_are_filled_from_the_defaults() -> None:
    row = [ev.Leased.TAG, 1, 1, [7], [2]]
    assert wire.decode(msgspec.msgpack.encode([[1, [row]]]), 1) == [(1, [ev.Leased(7, 2)])]


def test_older_version_is_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 38, the codec's part: an event whose fields changed twice."""
    tag = ev.Scaled.TAG
    monkeypatch.setattr(ev.Scaled, "VERSION", 3)
    monkeypatch.setitem(upcast.OLD_FIELDS, (tag, 1), ("kind", "workers"))
    monkeypatch.setitem(upcast.OLD_FIELDS, (tag, 2), ("type", "workers"))
    monkeypatch.setitem(upcast.UPCASTERS, (tag, 1), lambda row: {"type": row["kind"].lower(), "workers": row["workers"]})
    monkeypatch.setitem(upcast.UPCASTERS, (tag, 2), lambda row: {"type": row["type"], "parallelism": row["workers"] * 2})
    for version, row in ((1, ["A", 3]), (2, ["a", 3])):
        body = msgspec.msgpack.encode([[1, [[tag, version, 1, *([value] for value in row)]]]])
        assert wire.decode(body, 1) == [(1, [ev.Scaled("a", 6)])]
    body = wire.encode([(1, [ev.Scaled("a", 6)])])
    assert wire.decode(body, 1) == [(1, [ev.Scaled("a", 6)])]
