"""A principal that may look at one type only sees nothing of the others on any page: more of them changes no page at all.

Each page is loaded, then much happens to types that are hidden, then each is loaded again. What a page says of the log itself stays
out of the comparison: its size, the number of its last event, and how long something took.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.console.streaming import News
from tests.host.console.conftest import Order, Receipt, Shop, Stock, make_shop, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

HIDDEN = ("shop.Order", "shop.Receipt", "nightly", "negative", "ORD-more", "ORD-bad", "mallory", "not your business")
"""Names of hidden types and schedules, and words of their messages."""
PAGES = (
    "/",
    "/?over=history",
    "/?at=60",
    "/messages",
    "/messages?place=ready",
    "/messages?place=delayed",
    "/messages?place=held",
    "/messages?q=error~e",
    "/messages?q=id!%3Dnone",
    "/messages?q=id!%3Dnone&do=cancel",
    "/messages?q=type%3Dshop.Stock&do=cancel",
    "/messages?q=type%3Dshop.Order&do=cancel",
    "/dead-letters",
    "/dead-letters?where=id!%3Dnone",
    "/dead-letters?where=id!%3Dnone&do=replay",
    "/types",
    "/types/shop.Stock",
    "/schedules",
    "/processes",
    "/actors",
    "/acts",
    "/acts?at=60",
    "/compare?a=60",
    "/compare?a=1",
)
AWAY = (
    r'<form class="time.*?</form>',
    r"<footer>.*?</footer>",
    r"<div><dt>Log</dt>.*?</div>",
    r"<svg.*?</svg>",
    r'name="(csrf|counted)" value="[^"]*"',
    r'<p class="explanation">From .*?</p>',
    r"<dd>1 to [\d,]+</dd>",
    r"of event [\d,]+|event [\d,]+ of [\d,]+|[\d.]+ [KM]iB|<time.*?</time>",
    r"[\d,.]+ (ms|s|min|h|d)\b|\u2013",  # a percentile of the last minutes is a dash once they are over
)
"""What is the log's own, or changes by itself."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("hidden") / "q"
    shop = make_shop(folder)
    with perdure.acting_as("bob", reason="stock is counted"):
        shop.system.admin.pause("shop.Stock")
        shop.system.admin.resume("shop.Stock")
        shop.system.cancel(shop.system.publish(Stock("gone", 1), delay=900.0))

    @shop.system.every(86_400.0, name="nightly")
    def nightly(tick: perdure.Tick, ctx: perdure.Context) -> None:
        pass

    yield shop
    shop.console.close()
    shop.system.stop()


def one_type_alone(_principal: str, _action: str, kind: str) -> bool:
    return kind in ("", "shop.Stock")


def told(client: TestClient, path: str) -> str:
    """Return what a page says of messages."""
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    text: str = answer.text
    for pattern in AWAY:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    return text


def much_happens(system: perdure.System) -> None:
    """Let much happen to types that are hidden, in each way that a page tells of."""
    done, dead = system.admin.metrics().completed, system.dead_letters.stats().total
    system.publish_many([Order(f"ORD-more-{n}", 1.0) for n in range(40)])
    failing = system.publish_many([Order(f"ORD-bad-{n}", -1.0) for n in range(5)])
    system.publish_many([Receipt(f"in a group {n}") for n in range(7)], group="warehouse 7")
    later = system.publish_many([Receipt(f"delayed {n}") for n in range(9)], delay=3_000.0)
    until(lambda: system.admin.metrics().completed >= done + 80 and system.dead_letters.stats().total == dead + 5)
    with perdure.acting_as("mallory", reason="not your business"):
        system.admin.scale("shop.Receipt", 3)
        system.admin.pause("shop.Order")
        system.admin.resume("shop.Order")
        system.cancel(later[0])
        system.dead_letters.replay(failing[0])
        until(lambda: system.dead_letters.stats().total == dead + 5)
        counted = system.admin.count_where("id~-")
        assert counted.by_type["shop.Receipt"] >= 8
        system.admin.cancel_where("key=nothing-has-this")


def test_more_messages_of_hidden_types_change_no_page(mixed: Shop) -> None:
    client = mixed.client(authorize=one_type_alone)
    pages = [*PAGES, f"/messages/{mixed.stuck}"]
    before = {path: told(client, path) for path in pages}
    of_all = mixed.client(authorize=lambda *_: True)
    assert sum("shop.Order" in of_all.get(path).text for path in pages) > 10  # there is something to hide
    client = mixed.client(authorize=one_type_alone)
    much_happens(mixed.system)
    # What is looked at is what has happened meanwhile.
    until(lambda: _is_read(mixed))
    after = {path: told(client, path) for path in pages}
    for path in pages:
        assert after[path] == before[path], path
        named = [name for name in HIDDEN if name in after[path] and name not in path]  # a page repeats what it was asked for
        assert not named, path


def _is_read(shop: Shop) -> bool:
    with shop.console.view() as view:
        return view.seq >= shop.system.admin.metrics().seq and view.index.seq >= view.seq


def test_an_open_page_is_told_no_count(mixed: Shop) -> None:
    news = News(mixed.console)

    def is_known() -> bool:
        news.look()
        return news.newest[0] > 0

    until(is_known)
    assert json.loads(news.newest[1]) == {"seq": news.newest[0]}
