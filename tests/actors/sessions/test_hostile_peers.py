"""Peers that send what they like: never another error than the protocol's, never memory beyond the bound, never a wrong type told.

Bytes are cut, lengthened, repeated and changed at any place; `tests/chaos/damage/fuzz.py` does the same by coverage.
"""

from __future__ import annotations

import contextlib
import tracemalloc
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions.crossing import _SPACE, KINDS, OBJECTS, ROUTES
from perdure.actors.sessions.figures import RunFigures
from perdure.actors.sessions.framing.objects import BadObject, _fields
from perdure.actors.sessions.framing.weight import WEIGHED_BYTES, WEIGHT_MAX, is_too_heavy
from perdure.actors.sessions.framing.wire import HELLO_MAX, PROTOCOL, Assembler, BadFrame, Kind, pack
from perdure.actors.sessions.owner import Owner
from perdure.actors.sessions.session import Ended, Session
from perdure.events import commands
from perdure.events.structures.id_index import IdRun
from perdure.options import Options
from tests.effort import examples

if typing.TYPE_CHECKING:
    from perdure.actors.requests.request import Request

UNHURRIED = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])

SAMPLES: list[tuple[str, Any]] = [
    ("queue", commands.Publish([commands.Draft("id", "t", b"x", key="k", dedup="replace", headers={"a": "b"})])),
    ("queue", commands.Publish(commands.DraftRun("t", IdRun("p" * 24, 5, 2), [b"1", b"2"]), fresh=True)),
    ("queue", commands.LookUp("id")),
    ("queue", commands.AwaitResult("id")),
    ("queue", commands.CheckOut("t", "h", 1, 1)),
    ("queue", commands.Done(1, "id", 1)),
    ("queue", commands.Fail(1, "id", 1, "E", "m", "tb", 0)),
    ("queue", commands.Extend(1, "id", 1, 5, 50.0, "half")),
    ("dead_letters", None),
]


class Peer:
    """A session with what it tells to actors, and the assembler before it."""

    def __init__(self) -> None:
        self.told: list[Request] = []
        self.pending = PendingRequests(lambda _target, request: self.told.append(request))
        owner = Owner(
            pending=self.pending,
            bounds=Options(),
            facts=dict,
            figures=lambda: RunFigures({}, {}, {}),
            check_changes=lambda changes: changes,
        )
        self.session = Session(owner, lambda: None)
        self.assembler = Assembler(HELLO_MAX)

    def feed(self, data: bytes) -> None:
        """Do as the server does; a peer that breaks the protocol is gone, in one of two ways."""
        with contextlib.suppress(BadFrame, Ended):
            for kind, elements in self.assembler.feed(data):
                self.session.take(kind, elements)
                self.session.frames()


HELLO = pack(Kind.HELLO, PROTOCOL, "x")
STREAM = (
    HELLO
    + b"".join(pack(Kind.ASK, [key, 1, actor, OBJECTS.packed(command)]) for key, (actor, command) in enumerate(SAMPLES, 1))
    + pack(Kind.FORGET, 1, 2)
    + pack(Kind.PING)
)


# --- what is told to an actor has the types that its fields say ------------------------------------------------------------


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is what an annotation says; written without a look at the check under test."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any or value is None:
        return hint in (Any, None, type(None)) or type(None) in args or None in args
    if origin in (Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin is not None:
        return _fits_many(value, origin, args)
    if hint in (int, str, bytes, bool, float):
        return type(value) in {hint, int if hint is float else hint}
    return hint is not None and isinstance(value, hint) and is_sound(value)


def _fits_many(value: Any, origin: Any, args: tuple[Any, ...]) -> bool:
    if origin is Literal:
        return value in args
    if origin in (dict, Mapping):
        return type(value) is dict and all(fits(k, args[0]) and fits(v, args[1]) for k, v in value.items())
    if origin is tuple and args[-1] is not ...:
        return type(value) is tuple and len(value) == len(args) and all(map(fits, value, args))
    return isinstance(value, (list, tuple, IdRun)) and all(fits(item, args[0]) for item in value)


NUMBERS = {(kind if isinstance(kind, type) else kind[0]): number for number, kind in KINDS.items()}


def is_sound(value: Any) -> bool:
    """Return whether the fields of an object of ours, and of all in it, are what their annotations say."""
    return all(fits(getattr(value, name), hint) for name, hint in hints(type(value)).items())


def hints(kind: type) -> dict[str, Any]:
    """Return the fields of a class that cross, in order, with what they may hold."""
    if kind not in NUMBERS:
        return {}
    texts = {name: hint for base in reversed(kind.__mro__) for name, hint in vars(base).get("__annotations__", {}).items()}
    shape = KINDS[NUMBERS[kind]]
    names = shape[1] if isinstance(shape, tuple) else _fields(kind)
    space = {**_SPACE, kind.__name__: kind}
    found = {}
    for name in names:
        hint = texts[name].__forward_arg__ if isinstance(texts[name], typing.ForwardRef) else texts[name]
        found[name] = eval(hint, space) if isinstance(hint, str) else hint  # noqa: S307 - our own source
    return found


def example(hint: Any) -> Any:
    """Return a value of a type, as MessagePack has it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return example(args[0])
    if origin is tuple and args[-1] is not ...:
        return msgspec.msgpack.Ext(2, msgspec.msgpack.encode([example(arg) for arg in args]))
    if origin is tuple:
        return msgspec.msgpack.Ext(2, b"\x90")
    if origin is not None:
        return args[0] if origin is Literal else {} if origin in (dict, Mapping) else []
    simple = {int: 1, str: "x", bytes: b"x", bool: True, float: 1.5, Any: 1, None: None, type(None): None}
    return simple[hint] if hint in simple else as_sent(hint, [example(inner) for inner in hints(hint).values()])


def as_sent(kind: type, elements: list[Any]) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(NUMBERS[kind], msgspec.msgpack.encode(elements))


OF_EACH_TYPE: list[Any] = [
    None,
    True,
    1,
    1 << 63,
    1.5,
    "x",
    b"x",
    [],
    [1],
    ["x"],
    [None],
    {},
    {"a": 1},
    {1: "b"},
    example(tuple[int, int]),
]


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_field_takes_no_value_of_another_type(kind: type) -> None:
    """Each field of each class that crosses, with a value of each type in it."""
    good = [example(hint) for hint in hints(kind).values()]
    assert is_sound(OBJECTS.object(msgspec.msgpack.encode(as_sent(kind, good))))
    for place, hint in enumerate(hints(kind).values()):
        for value in OF_EACH_TYPE:
            raw = msgspec.msgpack.encode(as_sent(kind, [*good[:place], value, *good[place + 1 :]]))
            try:
                assert is_sound(OBJECTS.object(raw)), (place, value)
            except BadObject:
                assert (type(value), value) != (type(example(hint)), example(hint))


@UNHURRIED
@given(
    at=st.integers(0, len(STREAM) - 1),
    cut=st.integers(0, 40),
    put=st.binary(max_size=8) | st.sampled_from([b"\xc0", b"\x90", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xff\xff\xff\x7f"]),
    parts=st.lists(st.integers(1, 200), max_size=8),
)
def test_changed_bytes_of_a_good_peer_are_refused_or_are_sound(at: int, cut: int, put: bytes, parts: list[int]) -> None:
    peer = Peer()
    stream = STREAM[:at] + put + STREAM[at + cut :]
    begin = 0
    for size in [*parts, len(stream)]:
        peer.feed(stream[begin : begin + size])
        begin += size
    assert all(type(request.target) is str and (request.target, type(request.command)) in ROUTES for request in peer.told)
    assert all(is_sound(request.command) for request in peer.told)


FRAGMENT = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner, max_size=3)
        | st.builds(
            lambda n, fields: msgspec.msgpack.Ext(n, msgspec.msgpack.encode(fields)),
            st.sampled_from([-1, 0, 1, 2, 3, *KINDS]),
            st.lists(inner, max_size=6) | inner,
        )
    ),
    max_leaves=12,
)


@UNHURRIED
@given(
    frames=st.lists(
        st.tuples(st.sampled_from([*Kind, 99]), st.lists(FRAGMENT, max_size=4))
        | st.tuples(
            st.just(Kind.ASK),
            st.lists(
                st.tuples(
                    st.integers(0, 3) | FRAGMENT,
                    st.integers(0, 3) | FRAGMENT,
                    st.sampled_from(["queue", "dispatcher", "dead_letters", "owner", "journal"]) | FRAGMENT,
                    st.sampled_from([OBJECTS.packed(command) for _, command in SAMPLES])
                    | st.builds(msgspec.msgpack.encode, FRAGMENT)
                    | FRAGMENT,
                ).map(list),
                max_size=3,
            ),
        ),
        max_size=5,
    )
)
def test_any_frames_end_the_session_or_are_sound(frames: list[tuple[Any, list[Any]]]) -> None:
    peer = Peer()
    peer.feed(HELLO)
    for kind, elements in frames:
        body = msgspec.msgpack.encode([int(kind), *elements])
        peer.feed(len(body).to_bytes(4, "little") + body)
    assert all(is_sound(request.command) for request in peer.told)
    peer.session.close()
    assert not peer.pending.outstanding


@UNHURRIED
@given(name=st.text(max_size=20) | st.sampled_from(sorted(OBJECTS._errors)), arguments=st.lists(FRAGMENT, max_size=6))
def test_any_error_of_an_owner_is_an_error_here(name: str, arguments: list[Any]) -> None:
    raw = msgspec.msgpack.encode(msgspec.msgpack.Ext(1, msgspec.msgpack.encode([name, *arguments])))
    with contextlib.suppress(BadObject):
        error = OBJECTS.object(raw)
        assert isinstance(error, Exception)
        assert isinstance(str(error), str)


# --- memory ----------------------------------------------------------------------------------------------------------------

MANY = 2 << 20


@pytest.mark.parametrize(
    "unit",
    [
        b"\x90",
        b"\x91\x00",
        b"\x80",
        b"\xa1x",
        b"\xc4\x01x",
        b"\xd4\x02\x90",
        b"\xcb" + bytes(8),
        b"\xdc\x00\x00",
        b"\xcf" + b"\xff" * 8,
    ],
    ids=["list", "list of one", "map", "text", "binary", "object", "float", "long list", "number"],
)
def test_what_many_small_parts_would_take_is_known_before(unit: bytes) -> None:
    """Weighed by hand against the bound: the true size of a list of so many is never above what is let through."""
    count = MANY // len(unit)
    raw = b"\xdd" + count.to_bytes(4, "big") + unit * count
    small = msgspec.msgpack.Decoder(ext_hook=lambda _, data: list(data))
    sample = b"\xdd" + (1000).to_bytes(4, "big") + unit * 1000
    tracemalloc.start()
    kept = small.decode(sample)
    each = (tracemalloc.get_traced_memory()[0]) / 1000
    tracemalloc.stop()
    assert len(kept) == 1000
    assert is_too_heavy(raw, int(each * count * 0.5)), "weighed as at least half of what it takes"


def test_a_frame_of_nothing_but_empty_lists_is_refused_before_one_is_made() -> None:
    body = b"\xdd" + (8 << 20).to_bytes(4, "big") + b"\x90" * (8 << 20)
    with pytest.raises(BadFrame, match="parts"):
        list(Assembler().feed(len(body).to_bytes(4, "little") + body))
    with pytest.raises(BadObject, match="parts"):
        OBJECTS.object(body)


def test_what_a_commit_takes_is_not_too_heavy() -> None:
    options: dict[str, Any] = {"key": "k" * 20, "dedup": "append", "headers": {"request": "r" * 20}}
    drafts = [commands.Draft("i" * 36, "shop.Order", b"x" * 60, **options) for _ in range(10_000)]
    raw = OBJECTS.packed(commands.Publish(drafts))
    assert len(raw) > WEIGHED_BYTES
    assert not is_too_heavy(raw, WEIGHT_MAX // 8)
    assert len(OBJECTS.object(raw).drafts) == len(drafts)


@UNHURRIED
@given(raw=st.binary(max_size=100))
def test_any_bytes_can_be_weighed(raw: bytes) -> None:
    assert isinstance(is_too_heavy(raw + bytes(WEIGHED_BYTES), 1000), bool)


def test_half_a_frame_is_all_that_is_kept() -> None:
    """Bytes that have come are kept, not those that a length promises."""
    assembler = Assembler()
    tracemalloc.start()
    assert list(assembler.feed((90 << 20).to_bytes(4, "little") + b"x" * 1000)) == []
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert assembler.is_within
    assert kept < 10_000


def test_an_error_about_a_large_value_is_small() -> None:
    raw = msgspec.msgpack.encode(msgspec.msgpack.Ext(34, msgspec.msgpack.encode([b"x" * (1 << 20)])))
    with pytest.raises(BadObject) as error:
        OBJECTS.object(raw)
    assert len(str(error.value)) < 200
    body = msgspec.msgpack.encode(["x" * (1 << 20)])
    frames = Assembler().feed(len(body).to_bytes(4, "little") + body)
    with pytest.raises(BadFrame) as bad:
        next(frames)
    assert len(str(bad.value)) < 200
