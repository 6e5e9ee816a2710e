"""A signed pickle holds for one message: moved to another type or id, changed, or unsigned, it is never unpickled."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import attrs
import cloudpickle
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.events import vocabulary as ev
from perdure.store import MemoryStore
from tests.records import events_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = b"sixteen bytes or more"


class Order:
    def __init__(self, n: int) -> None:
        self.n = n


class Refund(Order):
    pass


class Trap:
    """Counts how often it was unpickled."""

    sprung = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Run code."""
        return spring, ()


def spring() -> Order:
    Trap.sprung += 1
    return Order(0)


def make(**options: Any) -> perdure.System:
    return perdure.System(store=MemoryStore(), codec=perdure.CloudPickle(key=KEY, **options), clock=perdure.ManualClock())


def published(system: perdure.System, move: Callable[[Any], Any], message: Any) -> None:
    """Publish a message whose draft an attacker has changed in the log."""
    system.publish_drafts([move(system.drafts.draft(message))])


@pytest.mark.parametrize(
    "move",
    [
        lambda draft: draft._replace(type=f"{Order.__module__}.Refund"),
        lambda draft: draft._replace(id="another"),
        lambda draft: draft._replace(payload=draft.payload[:-1] + bytes([draft.payload[-1] ^ 1])),
        lambda draft: draft._replace(payload=b"PdSig2\0\0" + b"\0" * 32 + cloudpickle.dumps(Trap())),
        lambda draft: draft._replace(payload=b"\0" * 32 + cloudpickle.dumps(Trap())),
        lambda draft: draft._replace(payload=draft.payload[:20]),
        lambda draft: draft._replace(payload=b""),
        lambda draft: draft._replace(payload=draft.payload[8:]),
    ],
    ids=["type", "id", "changed", "forged", "forged-old", "cut", "empty", "unbound"],
)
def test_moved_or_forged_payload_is_a_dead_letter(move: Callable[[Any], Any]) -> None:
    handled: list[Any] = []
    Trap.sprung = 0
    with make() as system:
        system.handler(Order)(lambda order, ctx: handled.append(order))
        system.handler(Refund)(lambda order, ctx: handled.append(order))
        published(system, move, Order(1))
        system.drain(timeout=20)
        (letter,) = system.dead_letters.list()
        assert "sign" in letter.error
        assert isinstance(letter.message, bytes)
    assert handled == []
    assert Trap.sprung == 0


def test_every_way_to_publish_is_bound_and_arrives() -> None:
    handled: list[int] = []
    system = make()

    @system.handler(Order)
    def handle(order: Order) -> int:
        handled.append(order.n)
        return order.n

    due: list[Any] = []
    system.every(60.0, name="tick")(lambda tick, ctx: due.append(tick))
    with system:
        system.publish(Order(1))
        system.publish(Order(2), id="two", key="k", delay=0)
        system.publish_many([Order(3), Order(4)])
        system.submit(Order(5)).result(timeout=20)
        assert system.call(Order(6), timeout=20) == 6
        payloads = [event.payload for event in events_of(ev.Published, system.audit.events(type="Published"))]
        assert len(payloads) == 6
        assert all(payload.startswith(b"PdSig2") for payload in payloads)
        while not list(system.audit.events(type="Ticked")):
            pass
        system.clock.advance(60)  # type: ignore[attr-defined]  # a ManualClock
        system.drain(timeout=20)
        while not due:
            pass
        assert due[0].schedule == "tick"
        assert sorted(handled) == [1, 2, 3, 4, 5, 6]
        assert system.dead_letters.list() == []


def test_edited_dead_letter_is_bound_to_its_own_id() -> None:
    with make() as system:
        system.publish(Order(1))
        delivery = system.checkout(Order)
        assert delivery is not None
        delivery.reject("wrong")
        system.dead_letters.replay(delivery.id, message=Order(2))
        again = system.checkout(Order)
        assert again is not None
        assert (again.id, again.message.n) == (delivery.id, 2)


def old(message: Any) -> bytes:
    """Sign as earlier versions did."""
    body = cloudpickle.dumps(message)
    return hmac.digest(KEY, body, hashlib.sha256) + bytes(body)


def test_payloads_of_earlier_versions_are_read_where_their_type_is_right() -> None:
    with make() as system:
        published(system, lambda draft: draft._replace(payload=old(Order(7))), Order(1))
        delivery = system.checkout(Order)
        assert delivery is not None
        assert delivery.message.n == 7
        published(system, lambda draft: draft._replace(payload=old(Refund(8))), Order(1))
        assert system.checkout(Order) is None
        assert "moved from another message" in system.dead_letters.list()[0].error
    with make(unbound=False) as system:
        published(system, lambda draft: draft._replace(payload=old(Order(7))), Order(1))
        assert system.checkout(Order) is None
        assert "unbound=False" in system.dead_letters.list()[0].error


@given(st.text(), st.text(), st.text(), st.text())
def test_binding_distinguishes_all_names(kind: str, ident: str, other_kind: str, other_ident: str) -> None:
    codec = perdure.CloudPickle(key=KEY)
    payload = codec.bind(codec.encode(1), kind, ident)
    assert codec.decode_bound(payload, int, kind, ident) == 1
    if (kind, ident) != (other_kind, other_ident):
        with pytest.raises(perdure.InvalidMessage, match="no valid signature"):
            codec.decode_bound(payload, int, other_kind, other_ident)


class Grumpy:
    """A host's own codec, that raises what it likes."""

    def encode(self, message: Any) -> bytes:
        """See `Codec.encode`."""
        return b"x"

    def decode(self, payload: bytes, cls: type | None) -> Any:
        """See `Codec.decode`."""
        raise RecursionError


@pytest.mark.parametrize("depth", [300, 1_000, 100_000])
def test_letter_that_cannot_be_decoded_is_listed_as_bytes(depth: int) -> None:
    """Nested deeper than Python goes, or where a host's own codec fails in its own way."""
    raw = b"\x91" * depth + b"\x01"
    for codec in (None, Grumpy()):
        options = perdure.Options(check_messages=False)
        with perdure.System(store=MemoryStore(), codec=codec, options=options) as system:
            published(system, lambda draft: draft._replace(payload=raw), [1])
            delivery = system.checkout(list)
            if delivery is not None:
                delivery.reject("too deep")
            (letter,) = system.dead_letters.list()
            assert isinstance(letter.message, (bytes, list))
            assert system.dead_letters.get(letter.id).id == letter.id
            system.audit.timeline(letter.id)
            system.dead_letters.replay(letter.id)


def test_a_class_that_is_pickled_whole_goes_without_what_msgspec_noted_on_it() -> None:
    """As of a notebook that has used the other codec before: `cannot pickle 'msgspec._core.DataclassInfo' object`."""

    @attrs.frozen
    class Local:
        number: int

    msgspec.msgpack.decode(msgspec.msgpack.encode(Local(1)), type=Local)
    assert "__msgspec_cache__" in Local.__dict__
    codec = perdure.CloudPickle(key=b"k" * 32)
    assert codec.decode(codec.encode(Local(2)), None) == Local(2)
    assert "__msgspec_cache__" in Local.__dict__, "its own is left alone"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Local(3)), type=Local) == Local(3)
