"""Handlers whose signature does not fit are refused when they are registered, with no effect; others are called as they ask.

What handlers return is in `test_returned`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast
from unittest.mock import Mock

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Base:
    """Of all orders."""


@attrs.frozen
class Order(Base):
    """A message."""

    number: int


@attrs.frozen
class Special(Base):
    """Another message."""

    number: int


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


def swapped(ctx: perdure.Context, order: Order) -> None: ...


def swapped_by_name(ctx, order): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - what is tested


def required_keyword(order: Order, ctx: perdure.Context, *, verbose: bool) -> None: ...


def unannotated_keyword(order, ctx, *, verbose): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - what is tested


def too_many(order: Order, ctx: perdure.Context, other) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


def nothing() -> None: ...


def only_keywords(*, order: Order) -> None: ...


def other_type(order: Special, ctx: perdure.Context) -> None: ...


def text(order: str) -> None: ...


def one_of_others(order: Special | int) -> None: ...


def second_is_no_context(order: Order, count: int) -> None: ...


def by_place_only(order: Order, ctx: perdure.Context, other: Special, /) -> None: ...


def generator(order: Order) -> Iterator[int]:
    yield 1


async def async_generator(order: Order) -> Any:
    yield 1


class Generating:
    def handle(self, order: Order) -> Iterator[int]:
        yield 1


class GeneratingWhenCalled:
    def __call__(self, order: Order) -> Iterator[int]:
        yield 1


class Methods:
    def method(self, order: Order) -> None: ...

    def handle(self, order: Order, ctx: perdure.Context, more: Special) -> None: ...


class SwappedMethod:
    def handle(self, ctx: perdure.Context, order: Order) -> None: ...


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (swapped, "the message comes first, then the context"),
        (swapped_by_name, "the message comes first, then the context"),
        (SwappedMethod, "the message comes first, then the context"),
        (functools.partial(swapped), "the message comes first, then the context"),
        (required_keyword, r"asks for bool|registry"),
        (unannotated_keyword, "'verbose', which names no service"),
        (too_many, "'other', which names no service"),
        (nothing, "takes no argument for the message"),
        (only_keywords, "takes no argument for the message"),
        (other_type, r"takes 'order' as Special, but gets Order"),
        (text, "takes 'order' as str, but gets Order"),
        (one_of_others, "but gets Order"),
        (second_is_no_context, "takes 'count' as int in second place, where the context comes"),
        (by_place_only, "by its place only"),
        (generator, "has a `yield`"),
        (async_generator, "has a `yield`"),
        (functools.partial(generator), "has a `yield`"),
        (Generating, "has a `yield`"),
        (GeneratingWhenCalled(), "has a `yield`"),
        (Methods.method, "a method without its object"),
        (Methods, "takes 'more', for which there is no argument"),
        (lambda: None, "takes no argument for the message"),
    ],
)
def test_what_does_not_fit_is_refused_without_any_effect(folder: Path, handler: Any, told: str) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match=told) as caught:
        system.handler(Order, dedup="append")(handler)
    assert "0x" not in str(caught.value)
    seen: list[int] = []
    system.handler(Order, dedup="reject")(lambda order: seen.append(order.number))  # the type is still free
    with system:
        system.publish(Order(1), key="one", delay=60.0)
        with pytest.raises(perdure.DuplicateKey):
            system.publish(Order(2), key="one")


def test_refused_options_have_no_effect(folder: Path) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match="backoff"):
        system.handler(Order, dedup="reject", backoff=-1.0)
    with pytest.raises(perdure.InvalidMessage, match="handler"):
        system.every(1.0, name="often")(cast("Any", nothing))
    system.every(1.0, name="often")(lambda tick: None)
    with system:
        system.publish(Order(1), key="one", delay=60.0)
        system.publish(Order(2), key="one", delay=60.0)  # the policy of a refused handler would refuse it


def test_refusal_while_running_has_no_effect(folder: Path) -> None:
    with perdure.System(folder) as system:
        with pytest.raises(perdure.InvalidMessage):
            system.handler(Order)(cast("Any", swapped))
        assert system.admin.handlers() == {}
        system.handler(Order)(lambda order: order.number)
        assert system.call(Order(3), timeout=10.0) == 3


def plain(order: Order, ctx: perdure.Context) -> int:
    return ctx.attempt


def optional(order: Order, ctx: perdure.Context | None = None) -> int:
    return ctx.attempt if ctx is not None else 0


def optional_unannotated(order, ctx=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - what is tested
    return ctx.attempt if ctx is not None else 0


def by_keyword(order: Order, *, ctx: perdure.Context) -> int:
    return ctx.attempt


def by_keyword_with_default(order: Order, *, context: Any = None) -> int:
    return int(context.attempt)


def after_an_option(order: Order, verbose: bool = False, ctx: perdure.Context | None = None) -> int:
    assert verbose is False
    return ctx.attempt if ctx is not None else 0


def whatever(*args: Any, **kwargs: Any) -> int:
    order, ctx = args
    assert isinstance(order, Order)
    assert not kwargs
    return int(ctx.attempt)


def rest(order: Order, *args: Any) -> int:
    return int(args[0].attempt)


def alone(order: Order) -> int:
    return 1


def with_option(order: Order, retries: int = 1) -> int:
    return retries


def any_order(order: Base, ctx: object) -> int:
    assert isinstance(order, Order)
    return 1


def protocol(order: Numbered, ctx: Any) -> int:
    return order.number


def annotated(order: Annotated[Order, "noted"], ctx: perdure.Context) -> int:
    return order.number


def union(order: Order | Special, ctx: perdure.Context) -> int:
    return order.number


def unknown(order: Unseen, ctx: Unseen) -> int:  # type: ignore[name-defined]  # noqa: F821 - what is tested
    return int(order.number)


class Holder:
    def method(self, order: Order, ctx: perdure.Context) -> int:
        return ctx.attempt

    @staticmethod
    def static(order: Order, ctx: perdure.Context) -> int:
        return ctx.attempt

    @classmethod
    def of_class(cls, order: Order, ctx: perdure.Context) -> int:
        return ctx.attempt

    def __call__(self, order: Order, ctx: perdure.Context) -> int:
        return ctx.attempt


class Handles:
    def handle(self, order: Order, *, ctx: perdure.Context) -> int:
        return ctx.attempt


class HandlesStatically:
    @staticmethod
    def handle(order: Order, ctx: perdure.Context) -> int:
        return ctx.attempt


class HandlesAsClass:
    @classmethod
    def handle(cls, order: Order) -> int:
        return order.number


def injected(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that gives its function more than it is called with."""

    @functools.wraps(function)
    def wrapper(order: Order, ctx: perdure.Context) -> Any:
        return function(order, ctx, 1)

    return wrapper


@injected
def with_more(order: Order, ctx: perdure.Context, number) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001 - what is tested
    return int(number)


FITTING = [
    plain,
    optional,
    optional_unannotated,
    by_keyword,
    by_keyword_with_default,
    after_an_option,
    whatever,
    rest,
    alone,
    with_option,
    any_order,
    protocol,
    annotated,
    union,
    unknown,
    Holder().method,
    Holder.static,
    Holder.of_class,
    Holder(),
    Handles,
    HandlesStatically,
    HandlesAsClass,
    with_more,
    functools.partial(plain),
    functools.partial(with_option, retries=1),
    Mock(return_value=1),
    lambda order: order.number,
    lambda _order, _ctx=None: _ctx.attempt,
]


@pytest.mark.parametrize("handler", FITTING)
def test_what_fits_is_called_as_it_asks(folder: Path, handler: Any) -> None:
    system = perdure.System(folder)
    system.handler(Order, retries=0)(handler)
    with system:
        assert system.call(Order(1), timeout=10.0) == 1


def messages_of(batch: list[Order]) -> None: ...


def batch_and_more(batch: perdure.Batch[Any], ctx: Any) -> None: ...


@pytest.mark.parametrize(("handler", "told"), [(messages_of, "perdure.Batch"), (batch_and_more, "'ctx'"), (nothing, "batch")])
def test_batch_handler_that_does_not_fit(folder: Path, handler: Any, told: str) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match=told):
        system.batch_handler(Order)(handler)
    system.batch_handler(Order)(lambda batch: None)


def test_error_of_a_second_handler_names_the_first(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Order)(alone)
    with pytest.raises(perdure.InvalidMessage, match=r"has a handler already, .*test_signatures\.alone"):
        system.handler(Order)(plain)


def test_schedule_of_something_without_a_name_asks_for_one(folder: Path) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match="name="):
        system.every(1.0)(functools.partial(lambda tick: None))


def test_a_cached_handler_is_called_as_its_function_asks(folder: Path) -> None:
    """`functools.lru_cache` is written in C; what it wraps says how it is called."""
    seen: list[Order] = []

    @functools.lru_cache
    def take(order: Order) -> None:
        seen.append(order)

    system = perdure.System(folder)
    system.handler(Order)(take)
    with system:
        system.publish(Order(1))
        system.drain(timeout=60)
    assert seen == [Order(1)]


@pytest.mark.parametrize("rate", [1e-300, 5e-324, "0.00000000000000000001/d"])
def test_a_rate_that_no_interval_could_hold_is_refused(folder: Path, rate: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^rate: "):
        perdure.System(folder).handler(Order, rate=rate)
