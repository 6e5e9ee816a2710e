"""What the console reads of a log is what the audit says; and each look at it is bounded, and goes on where it ended."""

from __future__ import annotations

import html
import random
import re
from typing import TYPE_CHECKING

import pytest

from perdure.console.log import log_search
from perdure.console.log.buckets import Buckets
from perdure.console.log.groups import Groups
from perdure.console.log.index import Happening
from perdure.console.log.past import FOLDS_MAX, Past
from perdure.console.pages import messages
from perdure.console.pages.parts.page_rows import HappeningRow, _together, happening_row
from perdure.events import vocabulary as ev
from perdure.operations.audit import counts_of
from tests.host.console.conftest import PATIENCE_S, looked_at, until

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.host.console.conftest import Shop

YEAR_US = 365 * 86_400_000_000


def test_past_moments_are_what_the_audit_says_in_any_order(shop: Shop) -> None:
    past, audit = Past(shop.console.reader), shop.system.audit
    rng = random.Random(5)
    for seq in rng.sample(range(1, 200), 25):
        with past.lock:
            assert counts_of(past.at(seq, PATIENCE_S).states) == audit.state_at(seq)
            assert len(past._folds) <= FOLDS_MAX


def test_time_in_the_address_is_the_last_event_at_or_before_it(shop: Shop) -> None:
    records = list(shop.system.audit.events(until=200))
    rng = random.Random(6)
    for record in rng.sample(records, 12):
        with looked_at(shop.console, record.at.isoformat()) as view:
            assert view.seq == max(one.seq for one in records if one.at <= record.at) or view.seq > 200


def test_index_counts_all_history(shop: Shop) -> None:
    with shop.console.view():
        pass
    until(lambda: shop.console.live.history_known() >= 1.0)
    with shop.console.view() as view:
        counts = counts_of(view.states)
        row = [bucket for _, bucket in view.index.whole.row()]
        assert sum(bucket.published for bucket in row) == counts.published
        assert sum(bucket.completed for bucket in row) == counts.completed
        assert sum(bucket.dead for bucket in row) == counts.dead_lettered
        assert sum(bucket.depth for bucket in row) == view.states.queue.live
        later = [bucket for _, bucket in view.index.recent.row()]
        assert sum(bucket.published for bucket in later) == counts.published


def test_groups_are_the_same_event_by_event_and_all_at_once(shop: Shop) -> None:
    with shop.console.view() as view:
        whole = Groups.of(view.states.dead_letters)
        assert {cause: set(group.numbers) for cause, group in whole.by_cause.items()} == {
            cause: set(group.numbers) for cause, group in view.groups.by_cause.items()
        }
        assert whole.by_type == view.groups.by_type


@pytest.mark.parametrize("grows", [True, False])
def test_buckets_are_bounded_whatever_the_clock_does(grows: bool) -> None:
    rng = random.Random(7)
    buckets = Buckets(1_000_000, 100, grows=grows)
    for _ in range(2_000):
        buckets.at(rng.choice([5 * YEAR_US, rng.randrange(YEAR_US), 5 * YEAR_US + rng.randrange(60_000_000)])).published += 1
    row = list(buckets.row())
    assert len(row) <= 101
    assert not grows or sum(bucket.published for _, bucket in row) == 2_000


def test_search_without_time_goes_on_by_links_and_finds_all(
    browser: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "BUDGET_S", 0.0)
    monkeypatch.setattr(log_search, "WINDOW", 40)
    path, found, pages = "/messages?q=type%3Dshop.Order", set[str](), 0
    while path:
        text = browser.get(path).text
        found |= set(re.findall(r'class="id" href="/messages/([^"?]+)"', text))
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path, pages = html.unescape(following[1]) if following else "", pages + 1
    assert len(found) == 30
    assert pages > 2


def test_what_happens_again_and_again_is_one_row_with_how_often() -> None:
    rows = [HappeningRow(9, 9, "Actor journal died and was restarted", "warn") for _ in range(200)]
    rows = [HappeningRow(10, 10, "The owner stopped in good order"), *rows, HappeningRow(1, 1, "Process 7 opened the log")]
    shown = [row.text for row in _together(rows)]
    assert shown == [
        "The owner stopped in good order",
        "Actor journal died and was restarted (200 times)",
        "Process 7 opened the log",
    ]


def test_a_restart_without_a_cause_on_record_ends_without_a_colon() -> None:
    happening = Happening(1, 1, ev.ActorRestarted("journal", "", 1))
    assert happening_row(happening, sees_all=True).text == "Actor journal died and was restarted"
    happening = Happening(1, 1, ev.ActorRestarted("journal", "OSError: no space", 1))
    assert happening_row(happening, sees_all=True).text == "Actor journal died and was restarted: OSError: no space"
    assert happening_row(happening, sees_all=False).text == "Actor journal died and was restarted"
