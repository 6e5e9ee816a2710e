"""A form that is refused comes back as it was filled in, with the reason beside it; nothing is done."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.host.console.conftest import Shop, csrf_of

if TYPE_CHECKING:
    from httpx import Response
    from starlette.testclient import TestClient

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
