"""The pages: each answers, now and for a past moment, and says what is true."""

from __future__ import annotations

import html as html_module
import re
import threading
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

import perdure
from perdure.console.asked import Asked
from perdure.console.pages.dead_letters_page import expression_of
from tests.host.console.conftest import Order, Receipt, csrf_of, until

if TYPE_CHECKING:
    from httpx import Response

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
    assert "Of its attempts" in html or "It became a dead letter" in html
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
    again = browser.post("/act/bulk-replay", data=form, headers={"origin": "http://127.0.0.1"})  # the form is sent twice
    assert "this form was sent before" in again.text


def test_all_messages_that_a_filter_means_are_cancelled_after_a_dry_run(browser: TestClient, shop: Shop) -> None:
    ids = shop.system.publish_many([Receipt(f"bulk {i}") for i in range(3)], delay=3_000.0, keys=[f"bulk {i}" for i in range(3)])
    shop.system.publish(Receipt("another"), delay=3_000.0, key="another")
    until(lambda: browser.get("/messages", params={"q": "key~bulk"}).text.count('class="status delayed"') == 3)
    shown = browser.get("/messages", params={"type": "shop.Receipt", "q": "key~bulk"}).text
    offered = re.search(r'href="(/messages[^"]*do=cancel[^"]*)"', shown)
    assert offered is not None
    page = browser.get(html_module.unescape(offered[1])).text
    assert "<b>3</b> message(s) that wait or run would be cancelled" in page
    assert all(shop.system.state(ident).status == "delayed" for ident in ids)
    late = shop.system.publish(Receipt("late"), delay=3_000.0, key="bulk late")  # after the count: not meant
    counted = re.search(r'name="counted" value="([^"]+)"', page)
    assert counted is not None
    form = {"csrf": csrf_of(page), "counted": counted[1], "reason": "ordered twice", "back": "/messages"}
    browser.post("/act/bulk-cancel", data=form, headers={"origin": "http://127.0.0.1"})
    told = browser.get("/messages").text
    assert "cancel: 3 of the 3 message(s) that were counted" in told
    assert "type=shop.Receipt key~bulk" in told  # the act, with the filter that it had
    assert [shop.system.state(ident).status for ident in ids] == ["cancelled"] * 3
    assert shop.system.state(late).status == "delayed"
    (act,) = {(act.principal, act.reason) for act in shop.system.audit.acts() if act.action == "cancel" and "bulk" in act.subject}
    assert act == ("ann", "ordered twice")
    shop.system.cancel(late)


@pytest.mark.parametrize("path", ["/messages", "/messages?place=delayed&q=key~bulk", "/messages?q=key~bulk&at=60"])
def test_cancel_of_all_is_offered_only_for_what_it_would_hit(browser: TestClient, path: str) -> None:
    """Not for everything at once, for one place of several, or for the past."""
    assert "do=cancel" not in browser.get(path).text
    assert "would be cancelled" not in browser.get(f"{path}{'&' if '?' in path else '?'}do=cancel").text


def test_count_of_a_bulk_act_is_made_once_for_a_page_that_loads_itself_again(
    browser: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[str] = []
    count_where = shop.system.dead_letters.count_where

    def counting(where: str) -> Any:
        counts.append(where)
        return count_where(where)

    monkeypatch.setattr(shop.system.dead_letters, "count_where", counting)
    for _ in range(3):
        assert "would be purged" not in browser.get("/dead-letters", params={"where": "key=k27", "do": "purge"}).text
    assert counts == ["key=k27"]


def test_count_that_takes_long_holds_up_no_page(browser: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = threading.Event()

    def slow(_where: str) -> Any:
        assert counts.wait(60.0)
        raise perdure.PerdureError("the owner has stopped")

    monkeypatch.setattr(shop.system.dead_letters, "count_where", slow)
    path = "/dead-letters?where=key%3Dk17&do=purge"
    impatient = TestClient(browser.app, base_url="http://127.0.0.1")
    answer = impatient.get(path)
    assert (answer.status_code, "is being counted" in answer.text) == (202, True)
    assert impatient.get("/").status_code == 200
    counts.set()
    until(lambda: impatient.get(path).status_code == 400)
    monkeypatch.undo()
    until(lambda: impatient.get(path).status_code == 200)  # a count that failed is made again


def test_owner_that_does_not_answer_holds_up_no_page(browser: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    asked = Asked(lambda: answers.wait(60.0) or None, "nothing")
    monkeypatch.setattr(shop.console, "figures", asked)
    for path in ("/", "/types", "/processes", "/actors"):
        assert browser.get(path).status_code == 200
    assert asked._is_asking
    answers.set()


def test_expression_of_a_group_means_its_letters_and_no_others(browser: TestClient, shop: Shop) -> None:
    with shop.console.view() as view:
        for group in view.groups.biggest():
            assert shop.system.dead_letters.count_where(expression_of(group)).count == len(group.numbers)


def test_folder_without_an_owner_is_only_looked_at(shop: Shop) -> None:
    from perdure.console.console import Console
    from perdure.security import Rights
    from perdure.store import open_reader

    alone = type(shop)(shop.system, Console(open_reader(str(shop.system.audit._log.address)), None, rights=Rights()))
    client = alone.client()
    html = client.get("/types/shop.Order").text
    assert "only to look at" in html
    assert "/act/pause" not in html
    assert "nothing runs on this log" in html
    alone.console.close()


def test_console_of_something_else_is_refused() -> None:
    from perdure.console import asgi

    with pytest.raises(TypeError, match=r"a perdure\.System or a perdure\.Client"):
        asgi("folder")
    assert perdure.System is not None


# --- forms that are refused

TYPED = '{"order": "ORD-7", "amount": 9.5,}'


def sent(browser: TestClient, page: str, act: str, **fields: str) -> Response:
    """Fill in a form of a page and send it."""
    html = browser.get(page).text
    form = html.split(f'/act/{act}"', 1)[1].split("</form>", 1)[0]
    hidden = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)}
    answer: Response = browser.post(f"/act/{act}", data={**hidden, **fields}, headers={"origin": "http://127.0.0.1"})
    return answer


def form_of(answer: Response, act: str) -> str:
    assert answer.status_code == 200, answer.text
    return unescape(answer.text.split(f'/act/{act}"', 1)[1].split("</form>", 1)[0])


@pytest.fixture
def opened(browser: TestClient, shop: Shop) -> TestClient:
    sent(browser, f"/messages/{shop.bad}", "reveal")
    return browser


def test_what_was_typed_into_edit_and_replay_is_kept_with_the_error_beside_it(opened: TestClient, shop: Shop) -> None:
    answer = sent(opened, f"/messages/{shop.bad}", "edit", payload=TYPED, reason="grams")
    form = form_of(answer, "edit")
    assert f">{TYPED}</textarea>" in form
    assert 'value="grams"' in form
    assert "the message is no JSON" in form
    assert 'role="status">Not done' in answer.text
    assert re.search(r"<details open><summary>Edit and replay", answer.text)
    assert f'data-address="/messages/{shop.bad}"' in answer.text
    assert shop.system.state(shop.bad).status == "dead"
    assert TYPED not in unescape(opened.get(f"/messages/{shop.bad}").text)  # the next look is a new one


def test_each_field_of_a_publish_is_kept(browser: TestClient) -> None:
    form = form_of(sent(browser, "/types/shop.Order", "publish", payload='{"a": 1e999}', key="K-1", group="G-1"), "publish")
    assert '>{"a": 1e999}</textarea>' in form
    assert 'value="K-1"' in form
    assert 'value="G-1"' in form
    assert "JSON has no infinity" in form


def test_values_of_settings_are_kept(browser: TestClient) -> None:
    form = form_of(sent(browser, "/types/shop.Order", "configure", option="timeout", value="soon"), "configure")
    assert 'value="soon"' in form
    assert "<option selected>timeout</option>" in form
    assert 'value="many"' in form_of(sent(browser, "/types/shop.Order", "scale", workers="many"), "scale")


def test_values_of_a_bulk_edit_are_kept_beside_its_count(browser: TestClient, shop: Shop) -> None:
    page = "/dead-letters?where=type%3Dshop.Order&do=edit"
    answer = sent(browser, page, "bulk-edit", path="amount", value="1e999")
    form = form_of(answer, "bulk-edit")
    assert 'value="amount"' in form
    assert 'value="1e999"' in form
    assert "JSON has no infinity" in form
    assert "would be edited" in answer.text
    assert shop.system.dead_letters.stats().total == 3


def test_a_form_that_names_no_page_leads_to_the_first_one(browser: TestClient) -> None:
    form = {"csrf": csrf_of(browser.get("/types/shop.Order").text), "type": "shop.Order", "payload": "{", "again": "/nowhere"}
    answer = browser.post("/act/publish", data=form, headers={"origin": "http://127.0.0.1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "the message is no JSON" in browser.get("/").text


@pytest.mark.parametrize("name", ["warehouse 7", "it's", 'a "b" c', "back\\slash", "plain", "caf\u00e9 = 1"])
def test_links_of_a_message_lead_to_those_of_its_key_group_subject_and_chain(browser: TestClient, shop: Shop, name: str) -> None:
    """A name with spaces or quotes led to an expression that cannot be read."""
    ident = shop.system.publish(Receipt("R-9"), key=name, group=name, subject=name, correlation_id=name, delay=3600.0)

    def about(page: str) -> list[str]:
        return [unescape(link) for link in re.findall(r'href="([^"]*/messages\?[^"]*q=[^"]*)"', page) if "=" in link]

    until(lambda: browser.get(f"/messages/{ident}").status_code == 200)
    links = about(browser.get(f"/messages/{ident}").text)
    assert len(links) >= 4
    for link in links:
        answer = browser.get(link)
        assert answer.status_code == 200, link
        assert f"/messages/{ident}" in answer.text, link


# --- messages of a class that the console's process has, as in the host's own application


def test_a_message_is_published_from_a_page_of_the_application_itself(browser: TestClient, shop: Shop) -> None:
    """It was refused there: the name belongs to the class of the application."""
    before = shop.system.admin.metrics().published
    answer = sent(browser, "/types/shop.Order", "publish", payload='{"order": "ORD-100", "amount": 9.5}', key="K-100")
    assert answer.status_code == 303
    assert "published" in browser.get("/types/shop.Order").text
    until(lambda: shop.system.admin.metrics().published >= before + 2)  # its receipt, too
    wrong = sent(browser, "/types/shop.Order", "publish", payload='{"order": "ORD-100"}', key="K-101")
    assert "these fields cannot be those of shop.Order" in form_of(wrong, "publish")


def test_a_letter_is_edited_from_a_page_of_the_application_itself(opened: TestClient, shop: Shop) -> None:
    path = f"/messages/{shop.bad}"
    answer = sent(opened, path, "edit", payload='{"order": "ORD-7", "amount": 7.5}', reason="a sign")
    assert answer.status_code == 303
    until(lambda: shop.system.state(shop.bad).status == "completed")
    until(lambda: "<h2>Operators</h2>" in opened.get(path).text)
    page = opened.get(path).text
    assert re.search(r"ann: <b>edit</b> .*<q>a sign</q>", page)
    found = re.search(r'edited since it was published: <a href="([^"]+)">', page)
    assert found is not None
    assert '"amount": 7.5' in unescape(page)
    assert '"amount": -1.0' in unescape(opened.get(unescape(found[1])).text)


def test_a_dead_letter_is_purged_from_its_own_page(browser: TestClient, shop: Shop) -> None:
    ident = shop.system.publish(Order("ORD-9", -1.0), key="K-9")
    until(lambda: shop.system.state(ident).status == "dead")
    until(lambda: "Purge it" in browser.get(f"/messages/{ident}").text)
    found = re.search(r'<a class="button danger" href="([^"]+)">Purge it', browser.get(f"/messages/{ident}").text)
    assert found is not None
    answer = sent(browser, unescape(found[1]), "bulk-purge", reason="no order")
    assert answer.status_code == 303
    until(lambda: shop.system.state(ident).status != "dead")


def test_what_is_of_now_on_a_page_of_the_past_says_so(browser: TestClient) -> None:
    assert "<dt>Log</dt>" in browser.get("/").text
    assert "<dt>Log, now</dt>" in browser.get("/?at=20").text
