"""Right and wrong uses of the front door, for type checkers; nothing here runs.

Beside a wrong use stands what the checkers say of its line: `# wrong: mypy <code>; pyright <rule>`. On other lines they are
silent. `test_types.py` compares.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_type

import attrs

import perdure

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
    from collections.abc import Awaitable, Callable, Coroutine, Sequence


@attrs.frozen
class Order:
    order_id: str
    amount: float


@attrs.frozen
class RushOrder(Order):
    courier: str


@dataclass
class Receipt:
    order_id: str


@dataclass
class Quote(perdure.Returns[float]):
    sku: str


class Gateway:
    """A service of the host's."""


def use(*_values: object) -> None: ...


system = perdure.System("data")


# --- publishing ----------------------------------------------------------------------------------------------------------


def publishes(order: Order) -> None:
    assert_type(system.publish(order), str)
    system.publish(order, key="k", correlation_id="c", id="i", priority=3, ttl=5.0, group="g", headers={"a": "b"})
    system.publish(order, delay=dt.timedelta(seconds=5), dedup="append", keep_result=60.0, subject="ann")
    system.publish(order, at=dt.datetime.now(dt.UTC), dedup_window=1.0, debounce=0.5, key=None)
    system.publish(order, kee="k")  # wrong: mypy call-arg; pyright reportCallIssue
    system.publish(order, key=5)  # wrong: mypy arg-type; pyright reportArgumentType
    system.publish(order, dedup="refuse")  # wrong: mypy arg-type; pyright reportArgumentType
    system.publish(order, priority="high")  # wrong: mypy arg-type; pyright reportArgumentType
    system.publish(order, headers={"a": 1})  # wrong: mypy dict-item; pyright reportArgumentType
    system.publish(order, "k")  # wrong: mypy call-arg; pyright reportCallIssue


def publishes_many(orders: list[Order]) -> None:
    assert_type(system.publish_many(orders, keys=["k", None], ids=["i", "j"], ttl=5.0), list[str])
    system.publish_many(orders, key="k")  # wrong: mypy call-arg; pyright reportCallIssue
    system.publish_many(orders, keys=[1])  # wrong: mypy list-item; pyright reportArgumentType
    system.publish_many(Order("a", 1.0))  # wrong: mypy arg-type; pyright reportArgumentType


def submits(order: Order) -> None:
    future: concurrent.futures.Future[str] = system.submit(order, key="k")
    assert_type(future.result(), str)
    system.submit(order, delay="soon")  # wrong: mypy arg-type; pyright reportArgumentType


async def publishes_from_a_coroutine(order: Order) -> None:
    assert_type(await system.apublish(order, group="g"), str)
    future: asyncio.Future[str] = await system.asubmit(order, group="g")
    assert_type(await future, str)
    await system.apublish(order, grp="g")  # wrong: mypy call-arg; pyright reportCallIssue
    await system.asubmit(order, group=1)  # wrong: mypy arg-type; pyright reportArgumentType


def calls(order: Order) -> None:
    assert_type(system.call(Quote("a"), timeout=5.0, key="k"), float)
    assert_type(system.call(order), Any)
    text: str = system.call(Quote("a"))  # wrong: mypy assignment; pyright reportAssignmentType
    system.call(Quote("a"), timeout="soon")  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
    use(text)


async def calls_from_a_coroutine(order: Order) -> None:
    assert_type(await system.acall(Quote("a"), timeout=5.0), float)
    assert_type(await system.acall(order, key="k"), Any)
    (await system.acall(Quote("a"))).upper()  # wrong: mypy attr-defined; pyright reportAttributeAccessIssue


def writes_to_an_outbox(outbox: perdure.Outbox, order: Order) -> None:
    assert_type(outbox.publish(order, key="k", delay=1.0), str)
    outbox.publish(order, dedup="never")  # wrong: mypy arg-type; pyright reportArgumentType


# --- handlers ------------------------------------------------------------------------------------------------------------


@system.handler(Order)
def takes_the_message(order: Order) -> int:
    return len(order.order_id)


@system.handler(Order, parallelism=(1, 8), timeout=30.0, lease=5.0, renew=True, retries=5, rate="100/s", limit=4, replace=True)
def takes_the_context(order: Order, ctx: perdure.Context) -> None:
    assert_type(ctx.publish(Receipt(order.order_id), key=order.order_id), str)
    ctx.publish(Receipt(order.order_id), kee="k")  # wrong: mypy call-arg; pyright reportCallIssue
    ctx.publish(Receipt(order.order_id), priority=1.5)  # wrong: mypy arg-type; pyright reportArgumentType


@system.handler(Order, isolation="process", memory_limit=1 << 30, backoff=perdure.Exponential(1.0), retry_on=OSError)
async def runs_on_the_loop(order: Order, ctx: perdure.Context) -> str:
    await ctx.aheartbeat(50.0)
    return order.order_id


@system.handler(Order, dedup="append", key_parallelism=2, backoff=lambda attempt, error: attempt * 2.0)
def takes_services(order: Order, ctx: perdure.Context, gateway: Gateway, *, other: Gateway) -> None: ...


@system.handler(Order)
class Charge:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def handle(self, order: Order, ctx: perdure.Context) -> None: ...


@system.handler(Order)
class ChargeLater:
    async def handle(self, order: Order) -> None: ...


@system.handler(RushOrder)
def takes_a_base_class(order: Order) -> None: ...


@system.handler(Order)
def takes_anything(message: Any, ctx: Any) -> None: ...


system.handler(Order)(lambda order, ctx: use(order.amount, ctx))
system.handler(Order)(functools.partial(takes_anything, ctx=None))
system.handler(Order)(Charge(Gateway()).handle)
assert_type(takes_the_message(order=Order("a", 1.0)), int)
assert_type(Charge(Gateway()), Charge)
coroutine_function: Callable[[Order, perdure.Context], Coroutine[Any, Any, str]] = runs_on_the_loop
takes_the_message("a")  # wrong: mypy arg-type; pyright reportArgumentType


@system.handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def takes_another_message(receipt: Receipt) -> None: ...


@system.handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
async def awaits_another_message(receipt: Receipt, ctx: perdure.Context) -> None: ...


@system.handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def takes_only_a_part(order: RushOrder) -> None: ...


@system.handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def takes_nothing() -> None: ...


@system.handler(Order)  # wrong: pyright reportCallIssue reportArgumentType
class TakesAnotherMessage:  # wrong: mypy call-overload
    def handle(self, receipt: Receipt) -> None: ...


@system.handler(Order)  # wrong: pyright reportCallIssue reportArgumentType
class HandlesNothing:  # wrong: mypy call-overload
    def run(self, order: Order) -> None: ...


system.handler(Order, isolation="fork")  # wrong: mypy arg-type; pyright reportArgumentType
system.handler(Order, dedup="drop")  # wrong: mypy arg-type; pyright reportArgumentType
system.handler(Order, timeout_s=5.0)  # wrong: mypy call-arg; pyright reportCallIssue
system.handler(Order, retry_on=ValueError("a"))  # wrong: mypy arg-type; pyright reportArgumentType
system.handler("Order")  # wrong: mypy arg-type; pyright reportArgumentType


# --- batches and schedules -----------------------------------------------------------------------------------------------


@system.batch_handler(Order, size=50, wait=0.5, parallelism=2)
def takes_a_batch(batch: perdure.Batch[Order]) -> None:
    for item in batch:
        assert_type(item.message.amount, float)
        item.publish(Receipt(item.message.order_id))
    assert_type(batch.messages, list[Order])
    assert_type(batch[0], perdure.BatchItem[Order])


@system.batch_handler(Order)
async def takes_items(items: Sequence[perdure.BatchItem[Order]]) -> None: ...


@system.batch_handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def takes_a_batch_of_others(batch: perdure.Batch[Receipt]) -> None: ...


@system.batch_handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def takes_a_single_one(order: Order) -> None: ...


system.batch_handler(Order, isolation="process")  # wrong: mypy call-arg; pyright reportCallIssue


@system.every("*/5 * * * *", zone="Europe/Berlin", missed="all", timeout=5.0)
def tidies(tick: perdure.Tick, ctx: perdure.Context) -> None:
    assert_type(tick.due, dt.datetime)


system.every(60.0, message=Receipt("a"), key="k", priority=1)


@system.every(60.0)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def takes_no_tick(order: Order) -> None: ...


system.every(60.0, missed="some")  # wrong: mypy call-overload; pyright reportArgumentType
system.every(60.0, message=Receipt("a"), parallelism=2)  # wrong: mypy call-overload; pyright reportArgumentType


# --- consuming by hand, operating ----------------------------------------------------------------------------------------


def consumes() -> None:
    delivery = system.checkout(Order, lease=5.0)
    assert_type(delivery, perdure.Delivery[Order] | None)
    if delivery is not None:
        assert_type(delivery.message.amount, float)
        use(delivery.message.total)  # wrong: mypy attr-defined; pyright reportAttributeAccessIssue
    assert_type(system.checkout("shop.Gone"), perdure.Delivery[Any] | None)
    system.checkout(5)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType


def operates() -> None:
    system.admin.configure(Order, timeout=None, lease=5.0, renew=False, retries=3, rate="5/s")
    system.admin.configure(Order, parallelism=3)  # wrong: mypy call-arg; pyright reportCallIssue
    system.admin.configure(Order, retries="3")  # wrong: mypy arg-type; pyright reportArgumentType
    for letter in system.dead_letters.list(type=Order, limit=5):
        assert_type(letter.message, Order | bytes)
        use(letter.message.amount)  # wrong: mypy union-attr; pyright reportAttributeAccessIssue
    assert_type(system.dead_letters.get("id"), perdure.DeadLetter[Any])
    perdure.Options(durability="fsync", history="archive", dead_letters_full="drop_newest")
    perdure.Options(durability="sync")  # wrong: mypy arg-type; pyright reportArgumentType


# --- hooks ---------------------------------------------------------------------------------------------------------------


@system.on_start
async def opens() -> None: ...


hook: Callable[[], Awaitable[None]] = opens


@system.on_stop  # wrong: mypy type-var; pyright reportArgumentType
def takes_something(order: Order) -> None: ...


# --- handlers without a system -------------------------------------------------------------------------------------------

handlers = perdure.Handlers()
assert_type(system.include(handlers), perdure.Handlers)
handlers.include(system)  # wrong: mypy arg-type; pyright reportArgumentType
system.include("handlers")  # wrong: mypy type-var; pyright reportArgumentType


@handlers.handler(Order, parallelism=(1, 8), retries=5)
def is_declared(order: Order, ctx: perdure.Context) -> int:
    return len(order.order_id)


assert_type(is_declared(Order("a", 1.0), None), int)  # wrong: mypy arg-type; pyright reportArgumentType
handlers.handler(Order, retires=5)  # wrong: mypy call-arg; pyright reportCallIssue


@handlers.handler(Order)  # wrong: mypy call-overload; pyright reportCallIssue reportArgumentType
def is_declared_for_another(receipt: Receipt) -> None: ...


@handlers.batch_handler(Order, size=5)
def is_declared_for_batches(batch: perdure.Batch[Order]) -> None:
    assert_type(batch.messages, list[Order])


@handlers.every("*/5 * * * *", zone="Europe/Berlin")
def is_declared_for_ticks(tick: perdure.Tick) -> None: ...


@handlers.on_start
async def opens_a_pool() -> None: ...
