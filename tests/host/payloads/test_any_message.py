"""Random message classes with random values: each is refused, with what is wrong, or arrives equal. And a proof never errs.

Values are drawn that fit their annotation, or do not: what is sound is the whole of law 8, and no list of cases ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import pathlib
import typing
import uuid
from decimal import Decimal
from types import GenericAlias
from typing import Any

import attrs
import msgspec
import pydantic
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import perdure
from perdure.payloads.differences import difference
from perdure.payloads.fidelity import Fidelity
from perdure.payloads.proofs import prove
from tests.effort import examples


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Word(enum.StrEnum):
    YES = "yes"


class Pair(typing.NamedTuple):
    a: int
    b: str = "b"


@attrs.define
class ReadyQueue:
    n: int
    note: str | None = None


class Model(pydantic.BaseModel):
    n: int = 0


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**65), 2**65),
    float: st.floats(),
    str: st.text(max_size=5),
    bool: st.booleans(),
    bytes: st.binary(max_size=5),
    type(None): st.none(),
    uuid.UUID: st.uuids(),
    Decimal: st.decimals(),
    dt.datetime: st.builds(dt.datetime.replace, st.datetimes(timezones=st.none() | st.timezones()), fold=st.integers(0, 1)),
    dt.date: st.dates(),
    dt.time: st.builds(dt.time.replace, st.times(timezones=st.none() | st.timezones()), fold=st.integers(0, 1)),
    dt.timedelta: st.timedeltas(),
    pathlib.Path: st.sampled_from([pathlib.Path("a/b"), pathlib.Path()]),
    Colour: st.sampled_from(Colour),
    Word: st.sampled_from(Word),
    Pair: st.builds(Pair, st.integers(0, 3), st.text(max_size=2)),
    ReadyQueue: st.builds(ReadyQueue, st.integers(0, 3) | st.text(max_size=2), st.none() | st.text(max_size=2)),
    Model: st.builds(Model, n=st.integers(0, 3)),
    complex: st.just(1j),
    typing.Literal["yes", 1]: st.sampled_from(["yes", 1]),
    typing.Any: st.one_of(st.integers(), st.text(), st.tuples(st.integers()), st.datetimes(), st.builds(ReadyQueue, st.integers())),
}
HASHABLE = [kind for kind in SCALARS if kind not in (ReadyQueue, Model, typing.Any)]


def _holders(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(HASHABLE)
    return st.one_of(
        inner.map(lambda kind: GenericAlias(list, kind)),
        inner.map(lambda kind: GenericAlias(tuple, (kind, ...))),
        st.tuples(inner, inner).map(lambda kinds: GenericAlias(tuple, kinds)),
        keys.map(lambda kind: GenericAlias(set, kind)),
        keys.map(lambda kind: GenericAlias(frozenset, kind)),
        st.tuples(keys, inner).map(lambda kinds: GenericAlias(dict, kinds)),
        st.tuples(inner, inner).map(lambda kinds: typing.Union[kinds[0], kinds[1]]),  # noqa: UP007 - made at run time
        inner.map(lambda kind: typing.Optional[kind]),  # noqa: UP045 - as above
    )


hints: st.SearchStrategy[Any] = st.recursive(st.sampled_from(list(SCALARS)), _holders, max_leaves=4)


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Give values that fit an annotation, but for a leaf here and there."""
    if annotation in SCALARS:
        wrong = st.sampled_from(list(SCALARS)).flatmap(SCALARS.__getitem__)
        return st.integers(0, 19).flatmap(lambda n: SCALARS[annotation] if n else wrong)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union:
        return st.one_of([values(arg) for arg in args])
    if origin is dict:
        return st.dictionaries(values(args[0]).filter(_has_hash), values(args[1]), max_size=3)
    if origin in (set, frozenset):
        return st.sets(values(args[0]).filter(_has_hash), max_size=3).map(origin)
    if origin is tuple and args[1:] != (Ellipsis,):
        return st.tuples(*map(values, args))
    return st.lists(values(args[0]), max_size=3).map(origin)


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except (TypeError, ValueError):
        return False
    return True


def make_class(kind: str, fields: dict[str, Any]) -> type:
    """Make a message class of one of the four kinds."""
    match kind:
        case "attrs":
            made = attrs.make_class("Any", {name: attrs.field(type=hint) for name, hint in fields.items()})
        case "private":
            made = attrs.make_class("Any", {f"_{name}": attrs.field(type=hint) for name, hint in fields.items()})
        case "dataclass":
            made = dataclasses.make_dataclass("Any", list(fields.items()), slots=True)
        case "struct":
            made = msgspec.defstruct("Any", list(fields.items()))
        case _:
            config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="allow")
            create: Any = pydantic.create_model
            made = create("Any", __config__=config, **{name: (hint, ...) for name, hint in fields.items()})
    return perdure.message(name="tests.Any")(made)


@st.composite
def messages(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["attrs", "private", "dataclass", "struct", "pydantic"]))
    fields: dict[str, Any] = draw(st.dictionaries(st.sampled_from("abc"), hints, min_size=1))
    cls = make_class(kind, fields)
    given_values = {name: draw(values(hint)) for name, hint in fields.items()}
    make: Any = cls.model_construct if hasattr(cls, "model_construct") and draw(st.booleans()) else cls
    try:
        return make(**given_values)
    except (pydantic.ValidationError, pydantic.errors.PydanticUserError):
        assume(condition=False)  # a model that cannot be made is no message


@given(messages())
@settings(deadline=None, max_examples=examples(100))
def test_message_of_any_type_is_refused_or_arrives_equal(message: Any) -> None:
    codec = perdure.MessagePack()
    try:
        payload = Fidelity(codec).encode(message)
    except perdure.InvalidMessage as error:
        assert "Any" in str(error)  # noqa: PT017 - refused is as good as equal, where it says what
        return
    arrived = codec.decode(payload, type(message))
    assert type(arrived) is type(message)
    assert difference(message, arrived) is None
    with contextlib.suppress(TypeError):  # signalling NaN
        if "nan" not in repr(message).lower() and "fold=1" not in repr(message):
            assert arrived == message


@given(messages())
@settings(deadline=None, max_examples=examples(100))
def test_proof_never_errs(message: Any) -> None:
    """What is sure to arrive by its types alone does so, when it is decoded and compared."""
    cls = type(message)
    proof = prove(cls)
    if proof is None or not proof(message):
        return
    codec = perdure.MessagePack()
    try:
        Fidelity(codec).check_type(cls)
        payload = codec.encode(message)
    except perdure.InvalidMessage:
        return  # a type that is refused, a number beyond 64 bits, a lone surrogate: refused by the codec itself
    assert difference(message, codec.decode(payload, cls)) is None


@given(SCALARS[dt.datetime] | SCALARS[dt.time], st.sampled_from(["attrs", "dataclass", "struct", "pydantic"]))
@settings(deadline=None, max_examples=examples(100))
def test_a_time_that_is_accepted_means_the_same_moment_where_it_arrives(value: dt.datetime | dt.time, kind: str) -> None:
    """`==` ignores the fold of a naive time, and takes a time of a zone for a naive one: this asks for each."""
    codec = perdure.MessagePack()
    message = make_class(kind, {"a": type(value)})(a=value)
    try:
        arrived = codec.decode(Fidelity(codec).encode(message), type(message)).a
    except perdure.InvalidMessage:
        return
    assert (arrived.tzinfo is None) is (value.tzinfo is None)
    if value.utcoffset() is None:
        assert arrived.fold == value.fold
    if isinstance(value, dt.datetime) and value.utcoffset() is not None:  # `==` is false for the hour that comes twice
        arrived, value = arrived.astimezone(dt.UTC), value.astimezone(dt.UTC)
    assert arrived == value
