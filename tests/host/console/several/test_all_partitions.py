"""What is looked for in all partitions of a queue at once: messages, dead letters and acts; each row leads to its partition."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.cluster.routing import of_id
from perdure.security import Rights
from tests.host.console.conftest import until
from tests.host.console.several.conftest import PARCELS, PARTITIONS, Secret, browser_of

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from perdure.console.console import Console

pytestmark = [pytest.mark.long(seconds=8), pytest.mark.xdist_group("postgres")]


@pytest.fixture
def browser(consoles: dict[int, Console]) -> TestClient:
    return browser_of(consoles)


def rows(text: str) -> list[tuple[int, str]]:
    """Return the partition and the id of each row of a list."""
    return [(int(number), ident) for number, ident in re.findall(r'<a class="id" href="/partition/(\d+)/messages/([^"?]+)', text)]


def following(text: str) -> str:
    found = re.search(r'rel="next" href="([^"]+)"', text)
    return "" if found is None else html.unescape(found[1])


def all_rows(browser: TestClient, address: str) -> tuple[list[tuple[int, str]], str]:
    """Return the rows of all pages of a list, and what the last page says of how far it looked."""
    found: list[tuple[int, str]] = []
    text = ""
    for _ in range(100):
        text = browser.get(address).text
        found += rows(text)
        address = following(text)
        if not address:
            return found, text
    pytest.fail("the list has no end")


@pytest.mark.parametrize("number", [3, 111, 299])
def test_a_key_is_found_in_whichever_partition_it_is(browser: TestClient, cluster: perdure.Cluster, number: int) -> None:
    (one,), text = all_rows(browser, f"/messages?q=key%3Dparcel-{number}")
    assert cluster.state(one[1]).status == "completed"
    assert "looked back to the beginning" in text
    page = browser.get(f"/partition/{one[0]}/messages/{one[1]}")
    assert page.status_code == 200
    assert f"parcel-{number}" in page.text
    assert browser.get(f"/messages/{one[1]}").headers["location"] == f"/partition/{one[0]}/messages/{one[1]}"


def test_each_message_is_listed_once_however_many_pages_that_takes(browser: TestClient) -> None:
    found, _ = all_rows(browser, "/messages?type=shop.Parcel")
    assert len(found) == len({ident for _, ident in found}) == PARCELS
    assert {number for number, _ in found} == set(range(PARTITIONS))


def test_what_waits_is_listed_of_all(browser: TestClient) -> None:
    found, _ = all_rows(browser, "/messages?place=ready")
    assert len({ident for _, ident in found}) == 30
    assert not all_rows(browser, "/messages?place=held")[0]


def test_an_error_is_looked_for_in_all(browser: TestClient) -> None:
    bad = {number for number in range(PARCELS) if number % 25 == 7}
    found, _ = all_rows(browser, "/messages?q=error~address")
    assert len(found) == len(bad)
    assert len({number for number, _ in found}) > 1


def test_a_look_that_is_not_at_the_end_says_where_it_is_in_each(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.console.pages.whole_queue.whole_lists.BUDGET_LEAST_S", -1.0)
    monkeypatch.setattr("perdure.console.pages.whole_queue.whole_lists.BUDGET_S", -1.0)
    monkeypatch.setattr("perdure.console.log.log_search.WINDOW", 30)
    text = browser.get("/messages?q=key%3Dparcel-3").text
    assert "none so far; look further back" in text
    for number in range(PARTITIONS):
        assert re.search(rf"partition {number}: looked back to event [\d,]+ of [\d,]+", text), number
    (_,), last = all_rows(browser, "/messages?q=key%3Dparcel-3")
    assert not following(last)


def test_dead_letters_of_all_are_grouped_and_listed(browser: TestClient) -> None:
    bad = len([number for number in range(PARCELS) if number % 25 == 7])
    text = browser.get("/dead-letters").text
    assert f"{bad} in all" in text
    assert f"<b>{bad}</b>" in text  # one cause, over all partitions
    (cause,) = re.findall(r'<th scope="row"><a href="(/dead-letters\?where=[^"]+)"', text)
    found, last = all_rows(browser, html.unescape(cause))
    assert len(found) == bad
    assert "looked at, newest first" in last


def test_acts_of_all_are_one_list_by_their_times(browser: TestClient) -> None:
    text = browser.get("/acts").text
    assert text.count('<th scope="row">pause</th>') == 2 * PARTITIONS
    assert text.count('<th scope="row">resume</th>') == PARTITIONS
    assert "the depot is closed" in text
    times = re.findall(r'<tr><td><time datetime="([^"]+)"', text)
    assert times == sorted(times, reverse=True)
    assert '<th scope="row">pause</th>' not in browser.get("/acts?action=resume").text


def test_a_wrong_expression_and_an_events_number_are_refused(browser: TestClient) -> None:
    assert "write FIELD=VALUE" in browser.get("/messages?q=nothing").text
    assert "write FIELD=VALUE" in browser.get("/dead-letters?where=nothing").text
    for path in ("/messages", "/dead-letters", "/acts"):
        assert browser.get(f"{path}?at=7").status_code == 400
        assert browser.get(f"{path}?at=1s").status_code == 200
        assert not rows(browser.get(f"{path}?at=365d").text)


def test_a_partition_that_cannot_be_read_is_told_on_each_page(
    browser: TestClient, consoles: dict[int, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise perdure.StoreUnavailable("the database does not answer")

    monkeypatch.setattr(consoles[1], "view", broken)
    for path in ("/messages", "/dead-letters", "/acts"):
        assert "of 2 of 3 partitions: partition 1 (the database does not answer) cannot be read" in browser.get(path).text


def test_links_beside_the_pages_of_all_stay_with_all(browser: TestClient) -> None:
    side = browser.get("/").text.split('<nav class="side"')[1].split("</nav>")[0]
    for path in ("/", "/messages", "/dead-letters", "/acts"):
        assert f'href="{path}"' in side
        page = browser.get(path)
        assert page.status_code == 200, path
        assert re.search(rf'href="{path}" aria-current="page">all', page.text), path
    assert '<form class="find" action="/messages"' in browser.get("/").text


def test_a_hidden_type_is_on_no_page_of_all(consoles: dict[int, Console], cluster: perdure.Cluster) -> None:
    rights = {number: console.rights for number, console in consoles.items()}
    try:
        for console in consoles.values():
            console.rights = Rights(lambda _who, _action, kind: kind != "shop.Secret")
        browser = browser_of(consoles)
        paths = ("/", "/messages", "/messages?place=ready", "/messages?q=key~secret", "/dead-letters", "/acts")
        before = {path: _told(browser.get(path).text) for path in paths}
        own = [f"own-{n}" for n in range(30)]
        cluster.publish_many([Secret(n) for n in range(30)], keys=[f"more-{n}" for n in range(30)], ids=own)
        with perdure.acting_as("olga", reason="not your business"):
            cluster.admin.pause("shop.Secret")
        until(lambda: all(_has_seen_the_pause(console) for console in consoles.values()))
        for path in paths:
            text = _told(browser.get(path).text)
            assert "shop.Secret" not in text, path
            assert text == before[path], path
        for ident in own:  # it leads elsewhere than the key, by which the message was published
            leads_to = browser.get(f"/messages/{ident}").headers["location"]
            assert leads_to == f"/partition/{of_id(ident, PARTITIONS)}/messages/{ident}"
    finally:
        for number, console in consoles.items():
            console.rights = rights[number]


def _has_seen_the_pause(console: Console) -> bool:
    """Return whether a console has read the last of what was done, and so all of it."""
    with console.view() as view:
        return view.states.handlers.is_paused("shop.Secret") and view.index.seq >= view.seq


def _told(text: str) -> str:
    """Return what a page says of messages: not the events of the log itself, and not how long something took."""
    main = text.split("<main", 1)[1].split("</main>", maxsplit=1)[0]
    return re.sub(r"event [\d,]+ of [\d,]+|[\d.]+ (ms|s|min|h)\b", "", main)
