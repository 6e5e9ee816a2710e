"""The pages: each answers, now and for a past moment, and says what is true."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.console.pages.dead_letters import expression_of
from tests.host.console.conftest import Receipt, csrf_of, until

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.host.console.conftest import Shop

PAGES = [
    "/",
    "/types",
    "/types/shop.Order",
    "/messages",
    "/dead-letters",
    "/schedules",
    "/processes",
    "/actors",
    "/acts",
    "/compare",
]
PLACES = ["?place=ready", "?place=in flight", "?place=delayed", "?place=held", "?type=shop.Order", "?q=type=shop.Order key=k3"]


@pytest.mark.parametrize(
    "path", [*PAGES, *(f"/messages{place}" for place in PLACES), "/dead-letters?where=type=shop.Order", "/?over=history"]
)
@pytest.mark.parametrize("at", ["", "60", "1h"])
def test_every_page_answers_now_and_for_a_past_moment(browser: TestClient, path: str, at: str) -> None:
    answer = browser.get(path, params={"at": at} if at and "?" not in path else {})
    if at == "1h" and path == "/types/shop.Order":
        assert answer.status_code in (200, 400)  # there was none an hour ago
        return
    assert answer.status_code == 200
    assert "<main" in answer.text


def test_overview_tells_of_the_stuck_group_and_of_the_dead_letters(browser: TestClient, shop: Shop) -> None:
    html = browser.get("/").text
    assert "Group &#39;warehouse 7&#39;: 3 wait" in html
    assert f"/messages/{shop.stuck}" in html
    assert "ValueError: a negative amount for ORD-#" in html


def test_message_page_tells_its_whole_story(browser: TestClient, shop: Shop) -> None:
    html = browser.get(f"/messages/{shop.bad}").text
    assert "Of its attempts" in html or "It is a dead letter" in html
    assert html.count("ValueError: a negative amount for ORD-7") >= 3  # explained, and in each traceback
    assert '<rect class="bar fails"' in html
    assert "DeadLettered" in html


def test_message_page_shows_what_a_message_caused(browser: TestClient, shop: Shop) -> None:
    html = browser.get(f"/messages/{shop.good}").text
    assert "Causes and effects" in html
    child = html.split("Causes and effects", 1)[1].split('href="/messages/', 1)[1].split('"', 1)[0]
    assert shop.good in browser.get(f"/messages/{child}").text.split("Causes and effects", 1)[1]


def test_message_page_at_a_past_moment_knows_nothing_of_later(browser: TestClient, shop: Shop) -> None:
    published = next(r.seq for r in shop.system.audit.timeline(shop.bad) if r.name == "Published")
    html = browser.get(f"/messages/{shop.bad}", params={"at": published}).text
    assert "DeadLettered" not in html
    assert browser.get(f"/messages/{shop.bad}", params={"at": published - 1}).status_code == 404


def test_past_is_what_the_audit_says(browser: TestClient, shop: Shop) -> None:
    html = browser.get("/", params={"at": "40"}).text
    then = shop.system.audit.state_at(40)
    assert f'<dt>Ready</dt><dd><a href="/messages?at=40&amp;place=ready">{then.ready}</a>' in html


def test_two_moments_are_compared(browser: TestClient, shop: Shop) -> None:
    html = browser.get("/compare", params={"a": "5", "at": "60"}).text
    was, now = shop.system.audit.state_at(5).published, shop.system.audit.state_at(60).published
    assert (
        f'<th scope="row">published</th><td class="n">{was}</td><td class="n">{now}</td><td class="n up">+{now - was}</td>' in html
    )


@pytest.mark.parametrize(
    ("asked", "status"),
    [("nonsense", 400), ("2099-01-01", 200), ("1969-01-01", 200), ("9" * 30, 200), ("9" * 5_000, 400), ("9" * 400 + "d", 400)],
)
def test_moment_that_is_none_is_refused_in_words(browser: TestClient, asked: str, status: int) -> None:
    answer = browser.get("/", params={"at": asked})
    assert answer.status_code == status
    assert (status == 200) or "names no moment" in answer.text


def test_an_id_with_slashes_and_line_ends_has_a_page(browser: TestClient, shop: Shop) -> None:
    shop.system.publish(Receipt("ORD-1"), id="a/b\nc?d#e")
    until(lambda: browser.get("/messages/a%2Fb%0Ac%3Fd%23e").status_code == 200)


def test_search_goes_on_where_it_stopped(browser: TestClient, shop: Shop) -> None:
    html = browser.get("/messages", params={"q": "type=shop.Order"}).text
    assert html.count('class="id" href="/messages/') == 30
    assert "looked back to the beginning" in html
    error = browser.get("/messages", params={"q": 'error~"negative amount for ORD-17"'}).text
    assert error.count('class="id" href="/messages/') == 1
    wrong = browser.get("/messages", params={"q": "colour=red"})
    assert "write FIELD=VALUE" in wrong.text


def test_killed_actor_comes_back_on_the_page(browser: TestClient, shop: Shop) -> None:
    token = csrf_of(browser.get("/actors").text)
    answer = browser.post(
        "/act/kill", data={"csrf": token, "actor": "timer", "back": "/actors"}, headers={"origin": "http://127.0.0.1"}
    )
    assert answer.status_code == 303
    until(lambda: "Actor timer died and was restarted" in browser.get("/actors").text)
    assert "timer" in shop.system.actors
    assert any(act.action == "kill" and act.principal == "ann" for act in shop.system.audit.acts())


def test_dead_letters_are_replayed_after_a_dry_run(browser: TestClient, shop: Shop) -> None:
    page = browser.get("/dead-letters", params={"where": "type=shop.Order error~ORD-17", "do": "replay"}).text
    assert "<b>1</b> dead letter(s) would be replayed" in page
    before = shop.system.dead_letters.stats().total
    counted = re.search(r'name="counted" value="([^"]+)"', page)
    assert counted is not None
    form = {"csrf": csrf_of(page), "counted": counted[1], "reason": "tried again", "back": "/dead-letters"}
    browser.post("/act/bulk-replay", data=form, headers={"origin": "http://127.0.0.1"})
    assert "replay: 1 of the 1 dead letter(s)" in browser.get("/dead-letters").text
    until(lambda: shop.system.dead_letters.stats().total == before)  # it dies again
    replays = [(act.principal, act.reason) for act in shop.system.audit.acts() if act.action == "replay"]
    assert set(replays) == {("ann", "tried again")}
    browser.post("/act/bulk-replay", data=form, headers={"origin": "http://127.0.0.1"})  # the form is sent twice
    assert "the count is too old" in browser.get("/dead-letters").text


def test_expression_of_a_group_means_its_letters_and_no_others(browser: TestClient, shop: Shop) -> None:
    with shop.console.view() as view:
        for group in view.groups.biggest():
            assert shop.system.dead_letters.count_where(expression_of(group)).count == len(group.numbers)


def test_folder_without_an_owner_is_only_looked_at(shop: Shop) -> None:
    from perdure.console.console import Console  # noqa: PLC0415 - this test's alone
    from perdure.security import Rights  # noqa: PLC0415 - as above
    from perdure.store import open_reader  # noqa: PLC0415 - as above

    alone = type(shop)(shop.system, Console(open_reader(str(shop.system.audit._log.address)), None, rights=Rights()))
    client = alone.client()
    html = client.get("/types/shop.Order").text
    assert "only to look at" in html
    assert "/act/pause" not in html
    assert "nothing runs on this log" in html
    alone.console.close()


def test_console_of_something_else_is_refused() -> None:
    from perdure.console import asgi  # noqa: PLC0415 - this test's alone

    with pytest.raises(TypeError, match=r"a perdure\.System or a perdure\.Client"):
        asgi("folder")
    assert perdure.System is not None
