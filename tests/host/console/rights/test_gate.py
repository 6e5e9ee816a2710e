"""What comes to the gate of a console from odd browsers, servers and hosts: cookies, paths, sites, cut forms, principals."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.websockets import WebSocketDisconnect

from perdure import console
from perdure.console.answers import _own_path
from perdure.console.app import application
from perdure.console.whole_console import whole_queue
from perdure.security import Rights
from tests.host.console.conftest import Patient, csrf_of

if TYPE_CHECKING:
    from httpx import Response

    from tests.host.console.conftest import Shop

SITE = "http://127.0.0.1"
ORIGIN = {"origin": SITE}


def everything(*_: str) -> bool:
    return True


def browser(app: Any) -> Patient:
    return Patient(app, base_url=SITE, follow_redirects=False)


def resume(client: Patient, token: str, *, below: str = "", **headers: str) -> Response:
    """Send a form that changes nothing."""
    form = {"csrf": token, "type": "shop.Order"}
    answer: Response = client.post(f"{below}/act/resume", data=form, headers={**ORIGIN, **headers})
    return answer


@pytest.mark.parametrize("other", ['a={"x": 1}', "a[b]=c", "alone", "a=b c", "=x", "path=/", "é=é", 'a="b', "$Version=1", ";;"])
@pytest.mark.parametrize("is_first", [True, False])
def test_session_is_found_beside_whatever_cookies_the_host_has(shop: Shop, other: str, *, is_first: bool) -> None:
    client = shop.client(authorize=everything)
    page = client.get("/types/shop.Order")
    own = page.headers["set-cookie"].split(";")[0]
    client.cookies.clear()
    both = f"{other}; {own}" if is_first else f"{own}; {other}"
    assert resume(client, csrf_of(page.text), cookie=both.encode()).status_code == 303  # type: ignore[arg-type]  # bytes, as servers get them


def test_of_several_cookies_of_the_console_one_that_is_valid_counts(shop: Shop) -> None:
    """Another path of the same host may have one that has ended, or was sealed by a key that is gone."""
    client = shop.client(authorize=everything)
    page = client.get("/types/shop.Order")
    own = page.headers["set-cookie"].split(";")[0]
    name = own.partition("=")[0]
    client.cookies.clear()
    assert resume(client, csrf_of(page.text), cookie=f"{name}=old; {own}; {name}=older").status_code == 303


@pytest.mark.parametrize("below", ["/queue", "/mit leer", "/für", "/a/b", "/login", "/static"])
def test_console_below_any_path_keeps_its_session(shop: Shop, below: str) -> None:
    shop.console.rights = Rights(everything)
    app = application(shop.console, hosts=("127.0.0.1",), principal=lambda _: "ann")
    client = browser(Starlette(routes=[Mount(below, app)]))
    page = client.get(f"{quote(below)}/types/shop.Order")
    assert f"Path={quote(below)};" in page.headers["set-cookie"]
    assert resume(client, csrf_of(page.text), below=quote(below)).status_code == 303


@pytest.mark.parametrize("below", ["", "/queue"])
def test_console_of_several_partitions_has_one_session_for_all_pages(shop: Shop, below: str) -> None:
    """What an act has done is told, and payloads that were revealed are shown, on the pages of a partition, too."""
    shop.console.rights = Rights(everything)
    inner = whole_queue({0: shop.console}, hosts=("127.0.0.1",), principal=lambda _: "ann")
    client = browser(Starlette(routes=[Mount(below, inner)]) if below else inner)
    client.get(f"{below}/")
    one = f"{below}/partition/0"
    token = csrf_of(client.get(f"{one}/types/shop.Order").text)
    form = {"csrf": token, "type": "shop.Order", "reason": "a look", "back": "/types"}
    shown = client.post(f"{one}/act/reveal", data=form, headers=ORIGIN)
    assert f"Path={below or '/'};" in shown.headers["set-cookie"]
    page = client.get(f"{one}/messages/{shop.bad}").text
    assert 'role="status"' in page
    assert "&#34;amount&#34;: -1.0" in page


def test_style_that_is_loaded_first_begins_a_session_of_the_whole_console(shop: Shop) -> None:
    assert "Path=/;" in shop.client().get("/static/console.css").headers["set-cookie"]


@pytest.mark.parametrize("odd", ["http://[", "//[", "http://[::1"])
def test_site_that_is_no_address_is_another_site(shop: Shop, odd: str) -> None:
    client = shop.client(authorize=everything)
    token = csrf_of(client.get("/types/shop.Order").text)
    assert resume(client, token, origin=odd).status_code == 403
    assert _own_path(odd) == "/"


def test_browser_that_goes_away_within_its_form_is_no_error(shop: Shop) -> None:
    """A server would log a traceback for each."""
    client = shop.client(authorize=everything)
    page = client.get("/types/shop.Order")
    sent: list[Any] = []

    async def go() -> None:
        parts = [{"type": "http.request", "body": b"csrf=", "more_body": True}, {"type": "http.disconnect"}]
        names = [
            (b"host", b"127.0.0.1"),
            (b"origin", SITE.encode()),
            (b"cookie", page.headers["set-cookie"].split(";")[0].encode()),
        ]
        scope = {"type": "http", "method": "POST", "path": "/act/pause", "headers": names, "query_string": b"", "scheme": "http"}

        async def receive() -> Any:
            return parts.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await client.app(scope, receive, send)

    asyncio.run(go())
    assert sent == []


@pytest.mark.parametrize("principal", [42, True, False, b"ann", object(), "\ud800", "a" * 1_001])
def test_principal_that_is_no_name_gets_nowhere_and_the_log_says_why(
    shop: Shop, principal: object, caplog: pytest.LogCaptureFixture
) -> None:
    """`lambda request: request.user.is_authenticated` would let in all."""
    client = browser(application(shop.console, hosts=("127.0.0.1",), principal=lambda _: principal))  # type: ignore[arg-type, return-value]
    with caplog.at_level(logging.ERROR, "perdure"):
        answer = client.get("/")
    assert answer.status_code == 500
    assert "set-cookie" not in answer.headers
    assert "`principal` returns a text" in caplog.text


def test_empty_principal_is_refused_as_none(shop: Shop) -> None:
    assert shop.client(principal="").get("/").status_code == 401


def test_principal_that_is_a_coroutine_is_refused(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    async def who(_request: object) -> str:
        return "ann"

    with pytest.raises(TypeError, match="not a coroutine function"):
        console.asgi(shop.system, principal=who)  # type: ignore[arg-type]  # wrong on purpose
    client = shop.client(principal=who(None))  # type: ignore[arg-type]  # wrong on purpose
    assert client.get("/").status_code == 500
    assert "coroutine" in caplog.text


@pytest.mark.parametrize("path", ["/", "/live", "/static/console.css", "/act/pause"])
def test_web_socket_is_closed(shop: Shop, path: str) -> None:
    with pytest.raises(WebSocketDisconnect), shop.client().websocket_connect(path):
        pass
