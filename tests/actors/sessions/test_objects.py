"""Objects that cross: equal on the other side, and checked field by field before one is made."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.actors.sessions.crossing import KINDS, OBJECTS, ROUTES
from perdure.actors.sessions.framing.objects import SHAPES_MAX, BadObject, Objects
from perdure.events import commands, errors, vocabulary
from perdure.events.structures.id_index import IdRun
from tests.effort import examples

UNHURRIED = settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])

PUBLISHED = vocabulary.Published(1, "id", "t", b"x", headers={"a": "b"}, extras=vocabulary.Extras(2))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        {"a": (1, "b")},
        [b"x", 1.5],
        PUBLISHED,
        vocabulary.Leased(1, 2, holder="h"),
        vocabulary.ResultKept(1, "id", b"v", "", "", 7),
        vocabulary.DeadLettered(1, PUBLISHED, "r", 1, "E", "m", "tb", [vocabulary.FailureNote(1, 1, "E", "m")]),
        commands.Done(1, "id", 1),
        commands.Extend(1, "id", 1, 5, 50.0, "half"),
        commands.AwaitResult("id"),
        commands.Draft("id", "t", b"x", extras=vocabulary.Extras(3)),
    ],
)
def test_a_value_is_equal_on_the_other_side(value: Any) -> None:
    assert OBJECTS.object(OBJECTS.packed(value)) == value


def test_a_run_of_drafts_crosses_in_columns() -> None:
    run = commands.DraftRun("t", IdRun("p" * 24, 5, 3), [b"1", b"2", b"3"])
    crossed = OBJECTS.object(OBJECTS.packed(commands.Publish(run, fresh=True)))
    assert crossed.fresh
    assert list(crossed.drafts) == list(run)
    assert crossed.drafts.size == -1, "the owner adds up the bytes itself"


def test_every_error_is_of_its_class_on_the_other_side() -> None:
    made = [
        errors.DuplicateKey("held", "live"),
        errors.HandlerFailed("failed", "id", "ValueError", "no"),
        errors.PublishTimeout("late", ("a", "b")),
        errors.UnknownMessage("none"),
        errors.LeaseLost("gone"),
        errors.QueueFull("full"),
        errors.StoreUnavailable("disk"),
        ValueError("a number"),
    ]
    for error in made:
        crossed = OBJECTS.object(OBJECTS.packed(error))
        assert type(crossed) is type(error)
        assert str(crossed) == str(error)
        assert crossed.args == error.args


def test_an_error_of_another_class_crosses_as_its_text() -> None:
    crossed = OBJECTS.object(OBJECTS.packed(KeyError("k")))
    assert type(crossed) is errors.PerdureError
    assert "KeyError" in str(crossed)


def test_what_is_in_no_table_does_not_cross() -> None:
    with pytest.raises(TypeError, match="does not cross"):
        OBJECTS.packed(object())


def _ext(number: int, *fields: Any) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(number, msgspec.msgpack.encode(list(fields))))


@pytest.mark.parametrize(
    "raw",
    [
        _ext(41, "1", "id", 1),  # Done: the number is a text
        _ext(41, 1 << 63, "id", 1),  # beyond what the log holds
        _ext(41, True, "id", 1),
        _ext(41, 1, "id", 1, (), b"", "more"),
        _ext(44, 1, "id", 1, 5, float("nan")),
        _ext(34, 7),
        _ext(3, "p", -1, 1),
        _ext(3, "p", 0, 1 << 40),
        _ext(1),
        _ext(1, 5),
        _ext(127, 1),
        _ext(32, [1, 2, 3]),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(41, b"\xc1")),
        b"",
        b"\xc1",
    ],
)
def test_what_is_wrong_in_any_field_is_refused(raw: bytes) -> None:
    with pytest.raises(BadObject):
        OBJECTS.object(raw)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.builds(
            lambda n, fields: msgspec.msgpack.Ext(n, msgspec.msgpack.encode(fields)),
            st.sampled_from([1, 2, 3, *KINDS]),
            st.lists(inner, max_size=5),
        )
    ),
    max_leaves=12,
)


@UNHURRIED
@given(value=ANY)
def test_any_value_is_an_object_of_the_tables_or_is_refused(value: Any) -> None:
    with contextlib.suppress(BadObject):
        OBJECTS.object(msgspec.msgpack.encode(value))


@UNHURRIED
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_an_object_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(BadObject):
        OBJECTS.object(raw)


def test_objects_within_objects_without_end_are_refused() -> None:
    raw = b"\x90"
    for _ in range(2000):
        raw = msgspec.msgpack.encode([msgspec.msgpack.Ext(2, raw)])
    with pytest.raises(BadObject):
        OBJECTS.object(raw)


def test_every_command_with_a_route_can_cross() -> None:
    crossing = {kind[0] if isinstance(kind, tuple) else kind for kind in KINDS.values()}
    assert {kind for _, kind in ROUTES} - {type(None)} <= crossing


def test_what_is_remembered_of_the_classes_of_fields_is_bounded() -> None:
    """A peer that sends every combination of classes is refused each time, and fills no memory."""
    objects = Objects({32: commands.Tick}, vars(commands))
    values: list[Any] = [None, True, 1, 1.5, "x", b"x", []]
    count = len(commands.Tick.__match_args__)
    sent = 0
    for fields in itertools.islice(itertools.product(values, repeat=count), 0, None, max(1, len(values) ** count // 1000)):
        with contextlib.suppress(BadObject):
            objects.object(msgspec.msgpack.encode(msgspec.msgpack.Ext(32, msgspec.msgpack.encode(list(fields)))))
        sent += 1
    assert sent > SHAPES_MAX
    (maker,) = (make.__self__ for number, make in objects._make.items() if number == 32)  # type: ignore[attr-defined]  # each is a bound method
    assert len(maker._left) == SHAPES_MAX
