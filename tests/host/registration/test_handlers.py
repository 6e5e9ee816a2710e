"""`perdure.Handlers`: declared without a System, included in any number of them, and checked where they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Order:
    number: int


@attrs.frozen
class Receipt:
    number: int


def application() -> tuple[perdure.Handlers, list[str]]:
    """An application as a module has it: handlers of each kind, a schedule, hooks."""
    handlers, seen = perdure.Handlers(), list[str]()

    @handlers.on_start
    def opened() -> None:
        seen.append("opened")

    @handlers.on_stop
    def closed() -> None:
        seen.append("closed")

    @handlers.handler(Order, retries=2, backoff=perdure.Fixed(60.0))
    def charge(order: Order, ctx: perdure.Context) -> None:
        if ctx.attempt == 1:
            raise OSError("down")
        seen.append(f"charged {order.number}")
        ctx.publish(Receipt(order.number))

    @handlers.batch_handler(Receipt, size=5)
    def send(batch: perdure.Batch[Receipt]) -> None:
        seen.extend(f"sent {receipt.number}" for receipt in batch.messages)

    @handlers.every(3600.0, name="hourly")
    def tidy(tick: perdure.Tick) -> None:
        seen.append("tidied")

    return handlers, seen


def test_an_application_runs_on_a_simulated_system_and_then_on_a_real_one(folder: Path) -> None:
    handlers, seen = application()
    simulated = SimulatedSystem(seed=1)
    assert simulated.include(handlers) is handlers
    with simulated as system:
        system.publish(Order(1))
        system.advance(100.0)
        system.assert_published(Receipt, match={"number": 1}, times=1)
        assert sorted(seen) == ["charged 1", "opened", "sent 1"]
    seen.clear()
    real = perdure.System(folder)
    real.include(handlers)
    with real:
        assert real.admin.handlers().keys() >= {f"{__name__}.Order", f"{__name__}.Receipt"}
    assert seen == ["opened", "closed"]


def test_each_option_reaches_the_system_as_if_it_had_been_declared_there(folder: Path) -> None:
    options: dict[str, Any] = {"parallelism": (1, 3), "timeout": 5.0, "dedup": "append", "key_parallelism": 2, "rate": "10/s"}
    handlers, one, other = perdure.Handlers(), perdure.System(folder), perdure.System(folder)

    def work(order: Order) -> None: ...

    handlers.handler(Order, **options)(work)
    one.include(handlers)
    other.handler(Order, **options)(work)
    declared, direct = one._registered.specs[f"{__name__}.Order"], other._registered.specs[f"{__name__}.Order"]
    assert attrs.asdict(declared, filter=_is_option) == attrs.asdict(direct, filter=_is_option)


def _is_option(field: attrs.Attribute[Any], _value: object) -> bool:
    return field.name != "call"  # a closure of each registration


def test_what_is_declared_after_the_include_is_registered_too(perdure_simulated: SimulatedSystem) -> None:
    inner, outer = perdure.Handlers(), perdure.Handlers()
    outer.include(inner)
    perdure_simulated.include(outer)
    seen: list[int] = []

    @inner.handler(Order)
    def work(order: Order) -> None:
        seen.append(order.number)

    with perdure_simulated as system:
        system.publish(Order(7))
        system.run_until_idle()
        assert seen == [7]

        @inner.handler(Receipt)
        def late(receipt: Receipt) -> None:
            seen.append(-receipt.number)

        system.publish(Receipt(8))
        system.run_until_idle()
        assert seen == [7, -8]


def test_a_mistake_is_told_where_it_is_written() -> None:
    handlers = perdure.Handlers()
    with pytest.raises(TypeError, match="did you mean 'retries'"):
        handlers.handler(Order, retires=2)  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(perdure.InvalidMessage, match="timeout"):
        handlers.handler(Order, timeout=-1.0)
    with pytest.raises(perdure.InvalidMessage, match="isolation, memory_limit"):
        handlers.batch_handler(Order, isolation="process")  # type: ignore[call-arg]  # wrong on purpose
    wrong: Any = _takes_a_receipt
    with pytest.raises(perdure.InvalidMessage, match="registered for another type"):
        handlers.handler(Order)(wrong)
    handlers.handler(Order)(lambda order: None)
    with pytest.raises(perdure.InvalidMessage, match="has a handler already"):
        handlers.handler(Order)(lambda order: None)
    assert repr(handlers) == f"<perdure.Handlers of {__name__}.Order>"


def _takes_a_receipt(receipt: Receipt) -> None: ...


def test_handlers_are_included_once_and_never_in_a_circle(folder: Path) -> None:
    one, other, system = perdure.Handlers(), perdure.Handlers(), perdure.System(folder)
    system.include(one)
    one.include(other)
    again: list[tuple[perdure.System | perdure.Handlers, perdure.Handlers]]
    again = [(system, one), (other, one), (one, one), (one, other)]
    for includes_again, included in again:
        with pytest.raises(perdure.InvalidMessage, match="already"):
            includes_again.include(included)
    with pytest.raises(TypeError, match=r"perdure\.Handlers"):
        one.include(system)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match=r"perdure\.Handlers, or an object with start"):
        system.include(Order(1))  # type: ignore[type-var]  # wrong on purpose


def test_two_handlers_of_one_type_are_refused_by_the_system_that_would_have_both(folder: Path) -> None:
    system, one, other = perdure.System(folder), perdure.Handlers(), perdure.Handlers()
    one.handler(Order)(lambda order: None)
    other.handler(Order)(lambda order: None)
    system.include(one)
    with pytest.raises(perdure.InvalidMessage, match="has a handler already"):
        system.include(other)


def test_a_schedule_with_a_message_is_published_by_each_system_that_includes_it(perdure_simulated: SimulatedSystem) -> None:
    handlers = perdure.Handlers()
    handlers.every(60.0, message=Receipt(3), name="minutely", priority=5)
    perdure_simulated.include(handlers)
    with perdure_simulated as system:
        system.advance(125.0)
        system.assert_published(Receipt, match=Receipt(3), times=2)


@pytest.mark.parametrize(
    ("match", "numbers"),
    [(None, [1, 2, 2]), (Order(2), [2, 2]), ({"number": 1}, [1]), (lambda order: order.number > 1, [2, 2])],
)
def test_assert_published_returns_what_matches(perdure_simulated: SimulatedSystem, match: Any, numbers: list[int]) -> None:
    with perdure_simulated as system:
        system.publish_many([Order(1), Order(2)])
        system.publish(Order(2))
        assert [order.number for order in system.assert_published(Order, match)] == numbers
        assert system.assert_published(f"{__name__}.Order", match, times=len(numbers))
        system.assert_published(Receipt, times=0)


def test_assert_published_tells_what_was_published_instead(perdure_simulated: SimulatedSystem) -> None:
    with perdure_simulated as system:
        with pytest.raises(AssertionError, match="there are none, only: nothing"):
            system.assert_published(Receipt)
        system.publish(Order(1))
        with pytest.raises(AssertionError, match=r"found 0; of this type there are none, only: .*Order"):
            system.assert_published(Receipt)
        with pytest.raises(AssertionError, match=r"least one of .* that match \{'number': 3\}; found 0(.|\n)*Order\(number=1\)"):
            system.assert_published(Order, {"number": 3})
        with pytest.raises(AssertionError, match=r"published: 0 of .*; found 1"):
            system.assert_published(Order, times=0)
