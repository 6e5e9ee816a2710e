"""What an audit yields later is asked for as it comes, on behalf of the principal that called: types that came since, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60.0


@perdure.message(name="later.Order")
@attrs.frozen
class Order(perdure.Returns[str]):
    number: int


@perdure.message(name="later.Letter")
@attrs.frozen
class Letter:
    number: int


def rules(principal: str, _action: str, type_name: str) -> bool:
    return principal != "postman" or type_name in ("", "later.Letter")


def handle_orders(system: perdure.System) -> None:
    """Have orders of all fates: they come with a type that was not there before."""

    @system.handler(Order, retries=0, dedup_window=60.0)
    def handle(order: Order) -> str:
        if not order.number:
            raise ValueError("secret")
        return "secret"

    system.publish(Order(0))
    system.publish(Order(1), id="kept", key="held", keep_result=60.0)
    assert system.result("kept", timeout=PATIENCE_S) == "secret"
    system.drain(PATIENCE_S)
    system.admin.pause(Order)


FOLLOWED = ("Published", "Leased", "AttemptFailed", "DeadLettered", "Completed", "ResultKept", "KeyHeld", "HandlerRegistered")
FOLLOWED_ACTS = ("Paused", "HandlersAdministered")


@pytest.mark.parametrize("event", [*FOLLOWED, *FOLLOWED_ACTS])
def test_following_one_kind_of_event_shows_none_of_a_type_that_came_later(event: str) -> None:
    with perdure.System(store=perdure.MemoryStore(), authorize=rules) as system:
        with perdure.acting_as("postman"):
            hidden = system.audit.follow(lambda: None, type=event)
        with perdure.acting_as("ann"):
            shown = system.audit.follow(lambda: None, type=event)
        assert next(hidden) is next(shown) is None
        handle_orders(system)
        assert next(shown) is not None
        with pytest.raises(perdure.NotAllowed) as refused:
            next(hidden)
        assert "later.Order" not in str(refused.value)


def test_following_a_message_goes_on_beside_types_that_came_later() -> None:
    with perdure.System(store=perdure.MemoryStore(), authorize=rules) as system:
        with perdure.acting_as("postman"):
            shown = system.audit.follow(lambda: None, message_id="letter")
        assert next(shown) is None
        handle_orders(system)
        system.publish(Letter(1), id="letter")
        record = next(shown)
        assert record is not None
        assert record.message_id == "letter"


LAZY: dict[str, Callable[[perdure.Audit], Iterator[Any]]] = {
    "events": lambda audit: audit.events(),
    "events of a kind": lambda audit: audit.events(type="DeadLettered"),
    "search": lambda audit: audit.search("type=later.Order"),
    "acts": lambda audit: audit.acts(),
}


@pytest.mark.parametrize("call", LAZY)
def test_what_is_read_after_the_call_shows_none_of_a_type_that_came_between(call: str) -> None:
    with perdure.System(store=perdure.MemoryStore(), authorize=rules) as system:
        with perdure.acting_as("postman"):
            hidden = LAZY[call](system.audit)
        with perdure.acting_as("ann"):
            shown = LAZY[call](system.audit)
        handle_orders(system)
        with pytest.raises(perdure.NotAllowed), perdure.acting_as("ann"):
            assert not any(_is_of_orders(found) for found in hidden)
        with perdure.acting_as("postman"):
            assert any(_is_of_orders(found) for found in shown)


def _is_of_orders(found: Any) -> bool:
    return "later.Order" in repr(found)
