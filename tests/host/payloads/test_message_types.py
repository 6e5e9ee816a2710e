"""Law 8: what `publish` took reaches its handler equal to what was published, or was refused, with the field named.

Types whose annotations cannot be decoded are refused before any message; random types and values are in `test_any_message`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import ipaddress
import pathlib
import typing
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest

import perdure
from perdure.payloads import foreign_types as foreign
from perdure.payloads.differences import difference
from perdure.payloads.fidelity import Fidelity
from perdure.payloads.proofs import prove

if TYPE_CHECKING:
    from pathlib import Path

    from nowhere import Missing  # type: ignore[import-not-found]  # there is none

    from tests.host.conftest import Collected


@attrs.frozen
class Left:
    a: int


@attrs.frozen
class Right:
    b: int


class UndecoratedLeft(Left):
    b: int = 2


@attrs.define
class ReadyQueue:
    sku: str
    n: int | None


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Half(enum.Enum):
    ONE = 0.5


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Word(enum.StrEnum):
    YES = "yes"


class Bits(enum.IntFlag):
    A = 1
    B = 2


@dataclasses.dataclass
class WithInitVar:
    a: int
    b: dataclasses.InitVar[int]


@attrs.frozen
class ForTypeChecking:
    a: int
    b: list[Missing]


@attrs.frozen
class Holder:
    inner: ForTypeChecking


class Point(typing.NamedTuple):
    x: int


class Map(typing.TypedDict):
    a: int


Bare: Any = attrs.make_class("Bare", ["a"])


@dataclasses.dataclass
class Decorated:
    a: int


class Undecorated(Decorated):
    some: typing.ClassVar[int] = 1
    b: int = 7


class NoMessage:
    """Not a class of fields."""


@attrs.define
class NeverSet:
    a: int = attrs.field(init=False)


@attrs.define
class Private:
    _a: int
    b: int = attrs.field(init=False, default=3)
    c: int = attrs.field(alias="sea", default=4)


@attrs.frozen
class PrivateHolder:
    inner: Private


@attrs.define
class Derived:
    a: int
    twice: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Fill in what is not given."""
        self.twice = self.a * 2


@dataclasses.dataclass
class PickyLater:
    a: int

    def __post_init__(self) -> None:
        """Raise what no library expects."""
        if self.a > 5:
            raise LookupError(self.a)


@dataclasses.dataclass(eq=False)
class WithoutEquality:
    a: int
    b: float = dataclasses.field(default=1.0, compare=False)


@dataclasses.dataclass
class Tree:
    a: int
    kids: list[Tree] = dataclasses.field(default_factory=list)


class Plain(pydantic.BaseModel):
    a: int


class More(Plain):
    b: int


class Nested(pydantic.BaseModel):
    inner: Plain


class Secret(pydantic.BaseModel):
    password: pydantic.SecretStr


class Alias(pydantic.BaseModel):
    a: int = pydantic.Field(alias="x")
    hidden: int = pydantic.Field(default=0, exclude=True)


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    at: dt.datetime
    ident: uuid.UUID

    @pydantic.computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def year(self) -> int:
        return self.at.year


class Extra(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int = 1
    _own: int = pydantic.PrivateAttr(3)


class Cat(pydantic.BaseModel):
    kind: typing.Literal["cat"] = "cat"
    lives: int


class Dog(pydantic.BaseModel):
    kind: typing.Literal["dog"] = "dog"
    name: str


class Pet(pydantic.BaseModel):
    pet: Cat | Dog = pydantic.Field(discriminator="kind")


class Bytes(pydantic.BaseModel):
    body: bytes


class Tagged(msgspec.Struct, tag=True, array_like=True):
    a: int


class Renamed(msgspec.Struct, rename="camel", omit_defaults=True):
    some_words: list[str] = []


def of(annotation: Any) -> type:
    """Make a class with one field `x` that is annotated so."""
    made: type = attrs.make_class("Of", {"x": attrs.field(type=annotation)}, frozen=True)
    return perdure.message(name="tests.Of")(made)


UNDECODABLE = [
    pytest.param(of(Left | Right), "field 'x' of Of, of type .*Left | .*Right", id="two attrs classes"),
    pytest.param(of(Left | dict), "field 'x'", id="class or dict"),
    pytest.param(of(str | dt.datetime), "field 'x' of Of, of type str | datetime", id="text or moment"),
    pytest.param(of(Mixed), "field 'x' of Of, of type Mixed", id="mixed enum"),
    pytest.param(of(Half), "field 'x' of Of, of type Half", id="enum of floats"),
    pytest.param(of(NoMessage), "field 'x' of Of, of type NoMessage", id="class without fields"),
    pytest.param(of(list[NoMessage | None]), "field 'x' of Of, of type NoMessage", id="deep inside"),
    pytest.param(of(complex), "field 'x' of Of, of type complex", id="complex"),
    pytest.param(of(ipaddress.IPv4Address), "field 'x' of Of, of type IPv4Address", id="address"),
    pytest.param(of(typing.Callable[[], int]), "field 'x' of Of", id="callable"),
    pytest.param(WithInitVar, "field 'b' of WithInitVar, of type InitVar", id="InitVar"),
    pytest.param(ForTypeChecking, "field 'b' of ForTypeChecking, of type list.Missing.*type checking", id="type checking"),
    pytest.param(Holder, "field 'inner.b' of Holder", id="type checking, inside"),
    pytest.param(Bare, "field 'a' of Bare, .*no annotation", id="no annotation"),
    pytest.param(Undecorated, "field 'b' of Undecorated, .*decorate it", id="no dataclass itself"),
    pytest.param(UndecoratedLeft, "UndecoratedLeft cannot be .*no attrs class itself, .*decorate it", id="no attrs class itself"),
    pytest.param(of(list[UndecoratedLeft]), "field 'x' of Of, of type UndecoratedLeft, .*decorate it too", id="nor deep inside"),
    pytest.param(NeverSet, "field 'a' of NeverSet", id="never set"),
    pytest.param(NoMessage, r"^message type: NoMessage cannot be .*decorate it with @attrs\.frozen", id="no class of fields"),
]


@pytest.mark.parametrize("cls", [Undecorated, UndecoratedLeft, of(list[UndecoratedLeft]), NoMessage])
def test_a_class_that_lacks_its_decorator_is_told_of_that_alone(cls: type) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"decorate it.* with @\w+") as told:
        perdure.System(store=perdure.MemoryStore()).handler(cls)
    assert "plain fields" not in str(told.value)


def test_an_object_within_that_lacks_its_decorator_is_told_of_that_alone() -> None:
    with perdure.System(store=perdure.MemoryStore()) as system, pytest.raises(perdure.InvalidMessage, match="decorate it") as told:
        system.publish(of(typing.Any)(NoMessage()))
    assert "plain fields" not in str(told.value)


@pytest.mark.parametrize(("cls", "error"), UNDECODABLE)
def test_type_that_cannot_be_decoded_is_refused_at_registration_and_at_publish(cls: type, error: str) -> None:
    """No handler could be given one: told with field and type, before a worker dies of it."""
    system = perdure.System(store=perdure.MemoryStore())
    for register in (system.handler, system.batch_handler):
        with pytest.raises(perdure.InvalidMessage, match=error):
            register(cls)
    made: Any = object.__new__(cls)
    with system:
        with pytest.raises(perdure.InvalidMessage, match=error):
            system.publish(made)
        with pytest.raises(perdure.InvalidMessage, match=error):
            system.publish_many([made, made])
        with pytest.raises(perdure.InvalidMessage, match=error):
            system.submit(made, delay=5.0)
        assert system.admin.metrics().published == 0
        with pytest.raises(perdure.InvalidMessage, match=error):
            system.handler(cls)
        assert not system.admin.handlers()


def test_type_that_cannot_be_decoded_is_not_checked_out(folder: Path) -> None:
    """Each of its messages would become a dead letter, one after the other."""
    with perdure.System(folder, codec=Json()) as system:
        system.publish({"a": 1}, id="one")
        system.publish_drafts([system.drafts.draft("x")._replace(id="two", type=f"{WithInitVar.__module__}.WithInitVar")])
    with perdure.System(folder) as system:
        for kind in (WithInitVar, f"{WithInitVar.__module__}.WithInitVar"):
            with pytest.raises(perdure.InvalidMessage, match="field 'b' of WithInitVar"):
                system.checkout(kind)
        assert (system.state("two").status, system.dead_letters.list()) == ("ready", [])


def test_refused_class_leaves_its_name_free() -> None:
    system = perdure.System(store=perdure.MemoryStore())
    with pytest.raises(perdure.InvalidMessage):
        system.handler(of(Mixed))
    other: type = perdure.message(name="tests.Of")(attrs.make_class("Another", {"x": attrs.field(type=int)}))
    system.handler(other)(lambda _message: None)


def test_class_of_plain_dicts_is_refused_at_registration() -> None:
    with pytest.raises(perdure.InvalidMessage, match="TypedDict"):
        perdure.System(store=perdure.MemoryStore()).handler(Map)


BERLIN = ZoneInfo("Europe/Berlin")
FAITHFUL = [
    (of(int), 1),
    (of(int), 2**64 - 1),
    (of(float), 1),
    (of(float), float("nan")),
    (of(float), float("-inf")),
    (of(str), Word.YES),
    (of(Word), Word.YES),
    (of(Colour), Colour.BLUE),
    (of(Bits), Bits.A | Bits.B),
    (of(Left | None), Left(1)),
    (of(dt.datetime), dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN)),
    (of(dt.datetime), dt.datetime(2024, 1, 1)),  # noqa: DTZ001 - a naive one stays so
    (of(dt.datetime), dt.datetime.max.replace(tzinfo=dt.UTC)),
    (of(dt.time), dt.time(2, 30, tzinfo=dt.UTC)),
    (of(dt.timedelta), dt.timedelta(microseconds=-1)),
    (of(Decimal), Decimal("sNaN")),
    (of(Decimal), Decimal("1.10")),
    (of(uuid.UUID), uuid.UUID(int=5)),
    (of(pathlib.Path), pathlib.Path("/a/b")),
    (of(list[pathlib.Path | None]), [pathlib.Path("a"), None]),
    (of(bytes), b"\xff\x00"),
    (of(set[int]), {1, 2}),
    (of(frozenset[str]), frozenset({"a"})),
    (of(dict[int, str]), {1: "a"}),
    (of(dict[tuple[int, int], str]), {(1, 2): "a"}),
    (of(tuple[int, ...]), (1, 2)),
    (of(Point), Point(1)),
    (of(Map), {"a": 1}),
    (of(typing.Any), {"a": [1, None, b"x"]}),
    (of(object), "anything"),
    (of(typing.Any), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    (of(typing.Literal["a", 1]), 1),
    (of(typing.NewType("Ident", int)), 1),
    (of(typing.Annotated[int, msgspec.Meta(ge=3)]), 3),
    (of(Plain), Plain(a=1)),
    (of(Tree), Tree(1, [Tree(2)])),
]
FAITHFUL_OBJECTS = [
    Private(1, sea=9),
    Derived(1),
    PickyLater(1),
    WithoutEquality(1, float("nan")),
    Tree(1, [Tree(2, [Tree(3)])]),
    Point(1),
    Nested(inner=Plain(a=1)),
    Alias(x=1),
    Strict(at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), ident=uuid.UUID(int=1)),
    Extra(a=2, more=[1]),  # type: ignore[call-arg]  # wrong on purpose
    Pet(pet=Dog(name="Rex")),
    Bytes(body=b"text"),
    Tagged(1),
    Renamed(["a"]),
    {"a": [1]},
    "text",
    None,
]


def changed(message: Any, name: str, value: Any) -> Any:
    setattr(message, name, value)
    return message


class SafeText(str):
    """As Django's SafeString: `str` of it is one again."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Price(float):
    """As a library's own number."""


class Stamp(dt.datetime):
    """As the Timestamp of pandas."""


class Scalar:
    """As an integer of NumPy."""

    def tolist(self) -> int:
        return 1


def test_way_to_a_plain_text_that_an_error_names_leads_to_one() -> None:
    text = str.__str__(SafeText("a"))
    with perdure.System(store=perdure.MemoryStore()) as system:
        assert system.state(system.publish(of(str)(text))).status == "ready"


UNFAITHFUL = [
    (of(int)("abc"), r"Expected `int`, got `str` - at `\$.x`"),
    (of(int)(True), "Expected `int`, got `bool`"),
    (of(float)(uuid.UUID(int=1)), r"Expected `float`, got `str` - at `\$.x`"),
    (of(float)(2**60 + 1), "x is 1152921504606846977"),
    (of(str)(uuid.UUID(int=1)), "x is UUID"),
    (of(str)(Decimal(1)), "x is Decimal"),
    (of(str)(pathlib.Path("a")), "x is PosixPath"),
    (of(Colour)(1), "x is 1"),
    (of(typing.Any)((1, 2)), r"x is \(1, 2\), and would arrive as \[1, 2\]"),
    (of(typing.Any)({"a": [(1,)]}), r"x\['a'\]\[0\] is \(1,\)"),
    (of(typing.Any)(dt.datetime(2024, 1, 1)), "x is datetime"),  # noqa: DTZ001 - what is refused
    (of(dt.datetime)(dt.datetime(2024, 10, 27, 2, 30, fold=1)), r"fold=1\), and would arrive as .*30\)\."),  # noqa: DTZ001
    (of(list[dt.datetime])([dt.datetime(2024, 10, 27, 2, 30, fold=1)]), r"x\[0\] is .*fold=1"),  # noqa: DTZ001
    (of(dt.time)(dt.time(2, 30, fold=1)), "x is .*fold=1"),
    (of(dt.time)(dt.time(2, 30, tzinfo=BERLIN)), r"x is .*Berlin'\)\), and would arrive as .*time\(2, 30\)"),
    (of(typing.Any)(Left(1)), "x is Left"),
    (of(typing.Any)({1}), "x is {1}"),
    (of(typing.Any)(NoMessage()), r"cannot be encoded: there is no plain data for .*NoMessage: .*decorate it with @attrs\.frozen"),
    (
        of(typing.Any)(SafeText("a")),
        r"no plain data for .*SafeText: it is a subclass of str; give a plain str, `str\.__str__\(value\)`\.$",
    ),
    (of(str)(SafeText("a")), "give a plain str"),
    (of(float)(Price(1.5)), r"it is a subclass of float; give a plain float, `float\(value\)`\.$"),
    (of(list[typing.Any])([Stamp(2024, 1, 1, tzinfo=dt.UTC)]), r"give a plain datetime, as `value\.to_pydatetime\(\)`"),
    (of(typing.Any)(Scalar()), r"no type of Python's own; `value\.tolist\(\)` gives the plain value"),
    (of(Left)(UndecoratedLeft(1)), r"there is no plain data for .*UndecoratedLeft: .*decorate it too, with @attrs\.frozen"),
    (of(dict)({"a": (1,)}), r"x\['a'\]"),
    (of(list)([uuid.UUID(int=1)]), r"x\[0\] is UUID"),
    (of(tuple[int, ...])([1]), r"x is \[1\]"),
    (of(tuple[int])(Point(1)), r"x is Point\(x=1\)"),
    (of(Map)({"a": 1, "b": 2}), "x is {'a': 1, 'b': 2}"),
    (of(dict[int, str])({"1": "a"}), "Expected `int`, got `str`"),
    (of(list[Left])([Right(1)]), "missing required field `a`"),
    (of(list[Left])([Left("a")]), r"at `\$.x\[0\].a`"),  # type: ignore[arg-type]  # wrong on purpose
    (of(typing.Annotated[int, msgspec.Meta(ge=3)])(1), "Expected `int` >= 3"),
    (of(Plain)(More(a=1, b=2)), "x is More"),
    (PrivateHolder(Private(1)), "missing required field `_a`"),
    (changed(Derived(1), "twice", 9), "twice is 9, and would arrive as 2"),
    (changed(PickyLater(1), "a", 7), "7"),
    (WithoutEquality(1, "x"), "Expected `float`"),  # type: ignore[arg-type]  # wrong on purpose
    (Secret(password=pydantic.SecretStr("x")), "asterisks"),
    (Alias(x=1, hidden=2), "hidden is 2, and would arrive as 0"),
    (Nested(inner=More(a=1, b=2)), "inner is More"),
    (Nested.model_construct(inner=3), "inner"),
    (Extra(more=(1,)), "more"),  # type: ignore[call-arg]  # wrong on purpose
    (changed(Extra(), "_own", 4), "_own"),
    (Bytes(body=b"\xff"), "utf-8"),
    (Tagged("x"), "Expected `int`"),  # type: ignore[arg-type]  # wrong on purpose
    ({"a": (1,)}, r"\['a'\] is \(1,\)"),
    ((1, (2,)), r"\[1\] is \(2,\)"),
]


@pytest.mark.parametrize("message", [*(cls(value) for cls, value in FAITHFUL), *FAITHFUL_OBJECTS], ids=str)
def test_what_is_accepted_arrives_equal(message: Any) -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.publish(message)
        system.publish_many([message, message], priority=1)
        for _ in range(3):
            delivery = system.checkout(type(message))
            assert delivery is not None
            assert type(delivery.message) is type(message)
            assert difference(message, delivery.message) is None
            delivery.ack()


@pytest.mark.parametrize(("message", "error"), UNFAITHFUL, ids=range(len(UNFAITHFUL)))
def test_what_would_arrive_changed_is_refused_at_publish(message: Any, error: str) -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        for publish in (
            lambda: system.publish(message),
            lambda: system.publish(message, key="k"),
            lambda: system.publish_many([message]),
            lambda: system.submit(message),
        ):
            with pytest.raises(perdure.InvalidMessage, match=error) as refused:
                publish()
            assert type(message).__qualname__ in str(refused.value)
            assert "plain fields" not in str(refused.value), "that is for types, and this is about a value"
        assert system.admin.metrics().published == 0


def test_what_a_handler_publishes_is_looked_at_too(collected: Collected) -> None:
    system = perdure.System(store=perdure.MemoryStore())

    @system.handler(Left, retries=0)
    def handle(message: Left, ctx: perdure.Context) -> None:
        try:
            ctx.publish(Right("b"))  # type: ignore[arg-type]  # wrong on purpose
        except perdure.InvalidMessage as error:
            collected.add(str(error))

    with system:
        system.publish(Left(1))
        assert "Expected `int`" in collected.wait_for(1)[0]


def test_values_are_not_looked_at_where_the_host_says_so() -> None:
    """`check_messages=False`: a wrong value becomes a dead letter, as its bytes fit no field; a type is looked at all the same."""
    with perdure.System(store=perdure.MemoryStore(), options=perdure.Options(check_messages=False)) as system:
        ident = system.publish(Left("a"))  # type: ignore[arg-type]  # wrong on purpose
        assert system.checkout(Left) is None
        assert "Expected `int`" in system.dead_letters.get(ident).reason
        with pytest.raises(perdure.InvalidMessage, match="field 'b'"):
            system.publish(WithInitVar(1, 2))
    with pytest.raises(TypeError, match="check_messages"):
        perdure.Options(check_messages=1)  # type: ignore[arg-type]  # wrong on purpose


def test_message_that_an_older_version_wrote_with_aliases_is_read() -> None:
    codec = perdure.MessagePack()
    assert codec.decode(msgspec.msgpack.encode({"x": 1}), Alias) == Alias(x=1)
    assert codec.decode(msgspec.msgpack.encode({"a": 1}), Alias) == Alias(x=1)
    with pytest.raises(perdure.InvalidMessage, match="Alias"):
        codec.decode(msgspec.msgpack.encode({"y": 1}), Alias)


def test_alias_arrives_with_a_pydantic_that_reads_nothing_but_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 2.11 there was no `by_name`."""
    foreign.model_reader.cache_clear()
    monkeypatch.setattr(foreign, "_reads_names", lambda _cls: False)
    codec = perdure.MessagePack()
    payload = Fidelity(codec).encode(Alias(x=1))
    assert msgspec.msgpack.decode(payload) == {"x": 1}
    assert codec.decode(payload, Alias) == Alias(x=1)
    foreign.model_reader.cache_clear()


class Json:
    """A codec of a host's own, which knows less than it takes."""

    def encode(self, message: Any) -> bytes:
        return msgspec.json.encode(message)

    def decode(self, payload: bytes, cls: type | None) -> Any:
        return msgspec.json.decode(payload, type=cls or Any)


def test_codec_of_the_hosts_own_is_held_to_it() -> None:
    with perdure.System(store=perdure.MemoryStore(), codec=Json()) as system:
        system.publish(Left(1))
        with pytest.raises(perdure.InvalidMessage, match="Expected `int`"):
            system.publish(Left("a"))  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(perdure.InvalidMessage, match=r"\['a'\] is \(1,\)"):
            system.publish({"a": (1,)})
        delivery = system.checkout(Left)
        assert delivery is not None
        assert delivery.message == Left(1)


@pytest.mark.parametrize("checks", [True, False])
def test_codec_of_the_hosts_own_gives_bytes(*, checks: bool) -> None:
    """What is like bytes is made bytes; anything else is refused at the publish, not by the journal."""

    class Giving(Json):
        def __init__(self, kind: Any) -> None:
            self.kind = kind

        def encode(self, message: Any) -> Any:
            return self.kind(super().encode(message))

    options = perdure.Options(check_messages=checks)
    like_bytes: list[Any] = [bytearray, memoryview]
    for kind in like_bytes:
        with perdure.System(store=perdure.MemoryStore(), codec=Giving(kind), options=options) as system:
            system.publish(Left(1))
            published: Any = next(iter(system.audit.events(type="Published"))).event
            assert type(published.payload) is bytes
    others: list[Any] = [bytes.decode, len]
    for kind in others:
        with perdure.System(store=perdure.MemoryStore(), codec=Giving(kind), options=options) as system:
            for publish in (lambda: system.publish(Left(1)), lambda: system.publish_many([Left(1), Left(2)])):
                with pytest.raises(perdure.InvalidMessage, match=r"^codec: .*Giving\.encode returned"):
                    publish()


class Unpicklable(Exception):
    """Its arguments are not those of `__init__`."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a + b)


def test_pickle_that_cannot_be_read_again_is_refused() -> None:
    with perdure.System(store=perdure.MemoryStore(), codec=perdure.CloudPickle(key=bytes(16))) as system:
        with pytest.raises(perdure.InvalidMessage, match="Unpicklable"):
            system.publish(Unpicklable(1, 2))
        system.publish(NoMessage())


def test_flat_types_are_known_by_their_types_alone() -> None:
    """They are what is published most: decoding and comparing each would cost more than encoding it."""
    for annotation, good, bad in [
        (int, 1, True),
        (str | None, None, 1),
        (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)),
        (list[str], ["a"], ["a", 1]),
        (dict[str, float | int], {"a": 1}, {1: 1}),
        (tuple[ReadyQueue, ...], (ReadyQueue("a", 1), ReadyQueue("b", None)), (ReadyQueue("a", "b"),)),  # type: ignore[arg-type]
        (ReadyQueue | None, ReadyQueue("a", None), ReadyQueue(1, 1)),  # type: ignore[arg-type]  # wrong on purpose
        (Colour, Colour.RED, 1),
    ]:
        cls = of(annotation)
        proof = prove(cls)
        assert proof is not None
        assert (proof(cls(good)), proof(cls(bad))) == (True, False), annotation
    for cls in (Bare, of(typing.Any), of(Bits), of(Tree), Private, Derived, PickyLater, Plain, of(typing.Literal[1]), NoMessage):
        assert prove(cls) is None, cls


def test_object_that_lacks_a_field_is_refused() -> None:
    with pytest.raises(perdure.InvalidMessage, match="Left"):
        Fidelity(perdure.MessagePack()).encode(object.__new__(Left))


@attrs.define(on_setattr=[], slots=False)
class Checked:
    total: int = attrs.field(validator=attrs.validators.gt(0))


def test_object_that_its_own_validator_would_refuse_now_is_refused_at_publish() -> None:
    changed = Checked(1)
    changed.total = -1
    with perdure.System(store=perdure.MemoryStore()) as system:
        with pytest.raises(perdure.InvalidMessage, match="Checked would not reach its handler: 'total' must be > 0"):
            system.publish(changed)
        system.publish(Checked(1))
        delivery = system.checkout(Checked)
        assert delivery is not None
        assert delivery.message == Checked(1)


@pytest.mark.parametrize(("handled", "warned"), [("shop.Left", True), ("shop.Right", False), ("__main__.Left", False)])
def test_a_start_names_messages_that_wait_for_a_class_that_has_another_name_here(
    folder: Path, caplog: pytest.LogCaptureFixture, handled: str, warned: bool
) -> None:
    published: Any = perdure.message(name="__main__.Left")(dataclasses.make_dataclass("Left", [("a", int)]))
    with perdure.System(folder) as system:
        system.publish(published(1))
    system = perdure.System(folder)
    system.handler(perdure.message(name=handled)(dataclasses.make_dataclass("Handled", [("a", int)])))(lambda _: None)
    with system:
        pass
    warnings = [record.getMessage() for record in caplog.records if "no handler here" in record.getMessage()]
    assert len(warnings) == warned
    if warned:
        assert warnings[0].startswith("1 message(s) of type __main__.Left wait")
        assert "there is one for shop.Left" in warnings[0]
