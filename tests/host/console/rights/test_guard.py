"""What stands between a browser and the console: hosts, origins, forms, sessions, rights, and payloads that are hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

import perdure
from perdure import console
from perdure.console.answers import _own_path
from perdure.console.app import application
from perdure.console.guard import keys
from perdure.console.guard.sessions import OneTimeToken, Session, Sessions
from perdure.security import Rights, operator, viewer
from tests.host.console.conftest import Receipt, csrf_of, until

if TYPE_CHECKING:
    from tests.host.console.conftest import Shop

ORIGIN = {"origin": "http://127.0.0.1"}
EVERYWHERE = (
    "/",
    "/?over=history",
    "/messages",
    "/dead-letters",
    "/types",
    "/processes",
    "/acts",
    "/compare?a=1",
    "/compare?a=1&at=60",
)


def everything(*_: str) -> bool:
    return True


def test_another_name_of_this_host_is_refused(shop: Shop) -> None:
    """DNS rebinding: a page of another site makes its own name lead here."""
    client = shop.client()
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"host": "127.0.0.1:9999"}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}, {**ORIGIN, "sec-fetch-site": "cross-site"}]
)
def test_form_of_another_site_is_refused(shop: Shop, headers: dict[str, str]) -> None:
    client = shop.client(authorize=everything)
    token = csrf_of(client.get("/types").text)
    assert client.post("/act/pause", data={"csrf": token}, headers=headers).status_code == 403
    assert not shop.system.admin.handlers()["shop.Order"].paused


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_form_of_another_session_is_refused(shop: Shop, token: str) -> None:
    client = shop.client(authorize=everything)
    client.get("/")
    assert client.post("/act/pause", data={"csrf": token}, headers=ORIGIN).status_code == 403


PROXIED = "https://shop.example.com"


@pytest.mark.parametrize(
    ("origin", "status"), [(PROXIED, 303), ("http://127.0.0.1", 403), ("http://shop.example.com", 403), ("", 403), ("null", 403)]
)
def test_behind_a_proxy_that_asks_by_a_name_of_its_own_forms_come_from_the_sites_that_are_named(
    shop: Shop, origin: str, status: int
) -> None:
    shop.console.rights = Rights(everything)
    app = application(shop.console, hosts=("127.0.0.1",), origins=("HTTPS://shop.example.com/",), principal=lambda _: "ann")
    client = TestClient(app, base_url="https://127.0.0.1", follow_redirects=False)
    page = client.get("/types")
    assert "; Secure" in page.headers["set-cookie"]
    form = {"csrf": csrf_of(page.text), "type": "shop.Stock"}
    try:
        assert client.post("/act/pause", data=form, headers={"origin": origin}).status_code == status
    finally:
        shop.system.admin.resume("shop.Stock")


def test_form_that_a_proxy_makes_foreign_is_told_what_to_do(shop: Shop) -> None:
    client = shop.client(authorize=everything)
    answer = client.post("/act/pause", data={"csrf": csrf_of(client.get("/types").text)}, headers={"origin": PROXIED})
    assert answer.status_code == 403
    assert "origins=" in answer.text


@pytest.mark.parametrize(
    "origin", ["shop.example.com", "https://", "https://a.example/path", "ftp://a.example", "https://u@a.example"]
)
def test_origin_that_is_none_is_refused(shop: Shop, origin: str) -> None:
    with pytest.raises(ValueError, match="origins: a scheme and a host"):
        console.asgi(shop.system, origins=[origin])


def test_acts_are_no_links(shop: Shop) -> None:
    assert shop.client(authorize=everything).get("/act/pause").status_code == 405


def test_page_runs_no_script_and_no_style_of_its_own(shop: Shop) -> None:
    client = shop.client(authorize=everything)
    for path in (
        "/",
        "/types/shop.Order",
        f"/messages/{shop.bad}",
        "/dead-letters?where=type=shop.Order",
        "/actors",
        "/static/console.css",
    ):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert re.findall(r"<script(?! src=)|<style| style=|\son\w+=", answer.text) == []
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_answers_are_not_stored_and_the_cookie_is_strict(shop: Shop) -> None:
    answer = shop.client().get("/")
    assert answer.headers["cache-control"] == "no-store"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_token_opens_one_browser(shop: Shop) -> None:
    token, used = OneTimeToken(), list[str]()
    app = application(shop.console, hosts=("127.0.0.1",), token=token, used=lambda: used.append(token.value))
    first, second = TestClient(app, base_url="http://127.0.0.1"), TestClient(app, base_url="http://127.0.0.1")
    secret = token.value
    assert first.get("/").status_code == 401
    assert first.get("/login", params={"token": "guessed"}).status_code == 401
    assert first.get("/login", params={"token": secret}).status_code == 200
    assert first.get("/").status_code == 200
    assert second.get("/login", params={"token": secret}).status_code == 401
    assert used == [token.value] != [secret]


def test_host_that_does_not_say_who_asks_is_told_so(shop: Shop) -> None:
    assert shop.client(principal=None).get("/").status_code == 401


def test_viewer_looks_and_does_nothing(shop: Shop) -> None:
    client = shop.client(authorize=viewer)
    html = client.get("/types/shop.Order").text + client.get(f"/messages/{shop.bad}").text + client.get("/actors").text
    assert 'action="/act/' not in html
    token = session_of(client).csrf
    for act in ("pause", "scale", "replay", "edit", "bulk-purge", "reveal", "kill", "publish", "snapshot"):
        fields = {"csrf": token, "type": "shop.Order", "id": shop.bad, "workers": "1", "payload": "{}", "actor": "queue"}
        assert client.post(f"/act/{act}", data=fields, headers=ORIGIN).status_code == 403, act


def session_of(client: TestClient) -> Session:
    known: Sessions = client.app._sessions  # type: ignore[attr-defined]  # the gate, outermost
    found = known.find(client.cookies[known.cookie_name])
    assert found is not None
    return found


def test_rights_go_by_type(shop: Shop) -> None:
    client = shop.client(authorize=lambda who, action, kind: viewer(who, action, kind) or kind == "shop.Stock")
    assert 'action="/act/pause"' not in client.get("/types/shop.Order").text
    assert 'action="/act/pause"' in client.get("/types/shop.Stock").text


def test_type_that_one_may_not_look_at_is_nowhere(shop: Shop) -> None:
    client = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Order")
    assert client.get("/types/shop.Order").status_code == 403
    unseen = client.get(f"/messages/{shop.bad}")
    assert unseen.status_code == 404  # as one that is not there
    absent = client.get("/messages/01a21ae7-0000-7000-8000-000000000000")
    assert tidy(unseen.text, shop.bad) == tidy(absent.text, "01a21ae7-0000-7000-8000-000000000000")
    for path in ("/types", "/messages", "/dead-letters", "/dead-letters?where=type=shop.Order"):
        assert f'/messages/{shop.bad}"' not in (html := client.get(path).text)
        assert "/types/shop.Order" not in html
    assert client.get(f"/messages/{shop.stuck}").status_code == 200


def tidy(html: str, ident: str) -> str:
    """Return what a page says, without the id that was asked for and how long it took."""
    return re.sub(r"\d+ ms", "", html.split("<main", 1)[1].replace(ident, "ID"))


def test_name_of_a_type_that_one_may_not_look_at_stands_nowhere(shop: Shop) -> None:
    with perdure.acting_as("bob", reason="too many of shop.Stock"):
        shop.system.admin.pause("shop.Order")
        shop.system.admin.pause("shop.Stock")
        shop.system.admin.pause()
    try:
        everything_seen = shop.client(authorize=everything)
        seen = {path: everything_seen.get(path).text for path in EVERYWHERE}
        client = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Order")
        for path, html in seen.items():
            assert "shop.Order" in html, path  # there is something to hide
            hidden = client.get(path)
            assert hidden.status_code == 200, path
            assert "shop.Order" not in hidden.text, path
            assert path not in ("/", "/messages", "/types", "/acts") or "shop.Stock" in hidden.text, path
    finally:
        for kind in ("shop.Order", "shop.Stock", None):
            shop.system.admin.resume(kind)


def test_group_that_a_hidden_message_holds_up_is_hidden(shop: Shop) -> None:
    client = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Stock")
    assert "warehouse 7" not in client.get("/").text


def test_a_message_that_holds_up_others_says_so_as_far_as_they_may_be_looked_at(shop: Shop) -> None:
    path = f"/messages/{shop.stuck}"
    told = "3 message(s) of its group &#39;warehouse 7&#39; wait for it"
    assert told in shop.client(authorize=everything).get(path).text
    hidden = shop.system.publish(Receipt("behind"), group="warehouse 7")
    try:
        client = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Receipt")
        until(lambda: shop.console.live.states.queue.ids.get(hidden) or not client.get("/"))
        assert told in client.get(path).text
        behind = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Stock").get(
            f"/messages/{hidden}"
        )
        assert "another message comes before it" in behind.text
        assert shop.stuck not in behind.text
    finally:
        shop.system.cancel(hidden)


def test_bulk_act_on_types_that_one_may_not_look_at_tells_no_name_and_is_refused(shop: Shop) -> None:
    client = shop.client(authorize=lambda _who, action, kind: action != "look" or kind != "shop.Order")
    html = client.get("/dead-letters", params={"where": "error~negative", "do": "replay"}).text
    assert "shop.Order" not in html
    page = client.get("/messages", params={"q": "type=shop.Stock group~warehouse", "do": "cancel"}).text
    counted = re.search(r'name="counted" value="([^"]+)"', page)
    assert counted is not None
    session = session_of(client)
    count = session.count_of(counted[1])
    assert count is not None
    assert "shop.Stock" in count[4]
    count[4]["shop.Order"] = 1
    form = {"csrf": csrf_of(page), "counted": session.with_count(count)}
    answer = client.post("/act/bulk-cancel", data=form, headers=ORIGIN)
    assert answer.status_code == 403
    assert "shop.Order" not in answer.text


@pytest.mark.parametrize("words", ["id!=none", "type=shop.Receipt", "payload.number=1", "type!=shop.Stock", "type~shop"])
def test_nothing_is_counted_that_may_be_of_a_type_that_one_may_not_look_at(shop: Shop, words: str) -> None:
    """Also not whether there is any: a search for what is in it would find it letter by letter."""
    client = shop.client(authorize=lambda _who, action, kind: action != "look" or kind != "shop.Receipt")
    page = client.get("/messages", params={"q": words, "do": "cancel"}).text
    assert "Nothing was counted" in page
    assert 'name="counted"' not in page
    seen = shop.client(authorize=everything).get("/messages", params={"q": words, "do": "cancel"}).text
    assert "Nothing was counted" not in seen


def test_a_message_tells_nothing_of_a_cause_or_an_effect_that_one_may_not_look_at(shop: Shop) -> None:
    receipts = shop.client(authorize=everything).get(f"/messages/{shop.good}").text
    assert "shop.Receipt" in receipts
    hidden = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Receipt")
    assert "shop.Receipt" not in hidden.get(f"/messages/{shop.good}").text.split("<main", 1)[1]
    child = receipts.split("Causes and effects", 1)[1].split('href="/messages/', 1)[1].split('"', 1)[0]
    unseen = shop.client(authorize=lambda _who, action, kind: action == "look" and kind != "shop.Order")
    assert "shop.Order" not in unseen.get(f"/messages/{child}").text.split("<main", 1)[1]


def test_who_may_not_look_sees_nothing(shop: Shop) -> None:
    client = shop.client(authorize=lambda *_: False)
    assert client.get("/").status_code == 403
    assert client.get("/live").status_code == 403


def test_payload_is_hidden_until_a_recorded_reveal(shop: Shop) -> None:
    client = shop.client(principal="eve", authorize=operator)
    path = f"/messages/{shop.bad}"
    hidden = client.get(path).text
    assert "&#34;amount&#34;" not in hidden
    assert shop.bad not in client.get("/messages", params={"q": "payload.order=ORD-7"}).text
    form = {"csrf": csrf_of(hidden), "type": "shop.Order", "reason": "a customer asks", "back": path}
    answer = client.post("/act/reveal", data=form, headers=ORIGIN)
    assert answer.headers["location"] == path
    assert "&#34;amount&#34;: -1.0" in client.get(path).text
    assert shop.bad in client.get("/messages", params={"q": "payload.order=ORD-7"}).text
    (act,) = [act for act in shop.system.audit.acts() if act.action == "reveal"]
    assert (act.principal, act.subject, act.reason) == ("eve", "shop.Order", "a customer asks")
    assert "&#34;amount&#34;" not in shop.client(principal="bob").get(path).text  # revealed to eve alone


@pytest.mark.parametrize("away", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""])
def test_form_leads_back_to_the_console_alone(away: str) -> None:
    assert _own_path(away) == "/"
    assert _own_path("/messages?at=4") == "/messages?at=4"


def test_session_ends_and_forgets_what_was_revealed() -> None:
    session = Sessions(keys.of_process).begin("ann")
    assert not session.is_revealed("shop.Order")
    session.reveal("shop.Order")
    assert session.is_revealed("shop.Order")
    for i in range(500):
        session.reveal(f"type {i}")
    assert not session.is_revealed("shop.Order")


def test_an_open_page_that_looks_for_news_takes_no_notice_away(shop: Shop) -> None:
    """It may look between the act and the page that is to tell of it."""
    client = shop.client(authorize=everything)
    form = {"csrf": csrf_of(client.get("/types").text), "type": "shop.Order", "why": "a look", "back": "/types"}
    try:
        assert client.post("/act/pause", data=form, headers=ORIGIN).status_code == 303
        assert 'role="status"' not in client.get("/types", headers={"x-perdure-look": "1"}).text
        assert 'role="status"' in client.get("/types").text
        assert 'role="status"' not in client.get("/types").text
    finally:
        shop.system.admin.resume("shop.Order")
