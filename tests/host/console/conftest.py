"""A shop whose queue the console's tests look at: messages that succeed, fail, wait and are held. Made once for each module."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from starlette.testclient import TestClient

import perdure
from perdure.console.app import application
from perdure.console.console import Console
from perdure.console.log.pace import StillReading
from perdure.security import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from httpx import Response

    from perdure.console.console import View
    from perdure.security import Authorize

PATIENCE_S = 60.0


@perdure.message(name="shop.Order")
@attrs.frozen
class Order:
    order: str
    amount: float


@perdure.message(name="shop.Receipt")
@attrs.frozen
class Receipt:
    order: str


@perdure.message(name="shop.Stock")
@attrs.frozen
class Stock:
    sku: str
    by: int


COMING = 202


class Patient(TestClient):
    """A browser without scripts, which loads a page again for as long as the log is read for it."""

    def get(self, *args: Any, **options: Any) -> Response:
        """Return the answer that comes at last."""
        deadline = time.monotonic() + PATIENCE_S
        answer: Response = super().get(*args, **options)
        while answer.status_code == COMING:
            assert time.monotonic() < deadline, "the page never came"
            answer = super().get(*args, **options)
        return answer


@contextmanager
def looked_at(console: Console, at: str) -> Iterator[View]:
    """Give a view of a past moment, once it is folded."""
    deadline = time.monotonic() + PATIENCE_S
    with ExitStack() as stack:
        view: View | None = None
        while view is None:
            try:
                view = stack.enter_context(console.view(at))
            except StillReading:
                assert time.monotonic() < deadline, "the moment was never folded"
        yield view


@attrs.define
class Shop:
    """A running system, its console, and the ids of some messages."""

    system: perdure.System
    console: Console
    good: str = ""
    bad: str = ""
    stuck: str = ""

    def client(self, principal: str | None = "ann", authorize: Authorize | None = None) -> TestClient:
        """Return a browser without scripts, as one principal."""
        if authorize is not None:
            self.console.rights = Rights(authorize)
        app = application(self.console, hosts=("127.0.0.1",), principal=lambda _: principal)
        return Patient(app, base_url="http://127.0.0.1", follow_redirects=False)


def make_shop(folder: Path, *, orders: int = 30) -> Shop:
    """Start a system with some history; the caller stops it."""
    system = perdure.System(folder, options=perdure.Options(log_failures=None, log_dead_letters=None))

    @system.handler(Order, parallelism=2, retries=1, backoff=perdure.Fixed(0.01))
    def charge(order: Order, ctx: perdure.Context) -> None:
        if order.amount < 0:
            msg = f"a negative amount for {order.order}"
            raise ValueError(msg)
        ctx.publish(Receipt(order.order))

    @system.handler(Receipt)
    def send(receipt: Receipt, ctx: perdure.Context) -> None:
        pass

    @system.handler(Stock, retries=9, backoff=perdure.Fixed(3_000.0))
    def move(stock: Stock, ctx: perdure.Context) -> None:
        if not stock.by:
            msg = "the warehouse does not answer"
            raise ConnectionError(msg)

    system.start()
    shop = Shop(system, Console(Console.of(system).reader, system, rights=Rights()))
    ids = [system.publish(Order(f"ORD-{i}", -1.0 if i % 10 == 7 else 9.5), key=f"k{i}") for i in range(orders)]
    shop.good, shop.bad = ids[0], ids[7]
    shop.stuck = system.publish(Stock("SKU-1", 0), group="warehouse 7")
    for i in range(3):
        system.publish(Stock(f"SKU-{i}", 1), group="warehouse 7")
    system.publish(Receipt("later"), delay=3_000.0)
    dead = len([i for i in range(orders) if i % 10 == 7])
    until(lambda: system.dead_letters.stats().total == dead)
    until(lambda: system.state(shop.stuck).status == "delayed")
    until(lambda: system.admin.metrics().completed >= 2 * (orders - dead))
    shop.client().get("/")
    until(shop.console.live._opened.is_set)
    return shop


def until(holds: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def csrf_of(html: str) -> str:
    """Return the token of a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found is not None, "the page has no form"
    return found[1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(tmp_path_factory.mktemp("shop") / "orders")
    yield made
    made.console.close()
    made.system.stop(0.0)


@pytest.fixture
def browser(shop: Shop) -> TestClient:
    return shop.client(authorize=lambda *_: True)
