"""Several workers of one web server answer for a console: what one has begun, the others go on with."""

from __future__ import annotations

import base64
import re
import string
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.console import asgi
from perdure.console.app import application
from perdure.console.console import Console
from perdure.console.guard import keys, sessions
from perdure.console.guard.sessions import Session, Sessions
from perdure.console.log.pace import StillReading
from perdure.security import Rights
from tests.host.console.conftest import Patient, csrf_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

    from tests.host.console.conftest import Shop

ORIGIN = {"origin": "http://127.0.0.1"}


class Workers:
    """Two applications of one console, and a browser whose requests go now to the one and now to the other."""

    def __init__(self, shop: Shop) -> None:
        folder = shop.console.folder
        assert folder is not None
        self.folder = folder
        self.consoles = [Console(Console.of(shop.system).reader, shop.system, rights=Rights()) for _ in range(2)]
        self.first, self.second = (self._browser(console) for console in self.consoles)
        self.second._cookies = self.first._cookies

    def _browser(self, console: Console) -> TestClient:
        app = application(console, hosts=("127.0.0.1",), principal=lambda _: "ann", seal=lambda: keys.of_folder(self.folder))
        return Patient(app, base_url="http://127.0.0.1", follow_redirects=False)


@pytest.fixture
def workers(shop: Shop) -> Iterator[Workers]:
    made = Workers(shop)
    yield made
    for console in made.consoles:
        console.close()


def test_form_that_one_worker_has_shown_is_taken_by_another_whose_outcome_the_first_tells(workers: Workers, shop: Shop) -> None:
    form = {"csrf": csrf_of(workers.first.get("/types").text), "type": "shop.Stock", "back": "/types"}
    try:
        assert workers.second.post("/act/pause", data=form, headers=ORIGIN).status_code == 303
        assert shop.system.admin.handlers()["shop.Stock"].paused
        assert "deliveries are paused" in workers.first.get("/types").text
        assert "deliveries are paused" not in workers.second.get("/types").text  # once
    finally:
        shop.system.admin.resume("shop.Stock")


def test_outcome_of_an_act_is_kept_for_the_page_that_stays(workers: Workers, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that says how far the log is read loads itself again in a second, and no one would have read it."""
    form = {"csrf": csrf_of(workers.first.get("/types").text), "type": "shop.Stock", "back": "/types"}
    try:
        assert workers.first.post("/act/pause", data=form, headers=ORIGIN).status_code == 303

        def reading(*_: object) -> object:
            monkeypatch.undo()
            raise StillReading("The history is being read")

        monkeypatch.setattr(workers.consoles[0], "view", reading)
        assert "deliveries are paused" in workers.first.get("/types").text  # its second answer
    finally:
        shop.system.admin.resume("shop.Stock")


def test_what_one_worker_has_revealed_is_open_at_all_and_to_this_browser_alone(workers: Workers, shop: Shop) -> None:
    path = f"/messages/{shop.bad}"
    page = workers.first.get(path).text
    assert "&#34;amount&#34;" not in page
    form = {"csrf": csrf_of(page), "type": "shop.Order", "reason": "a customer asks", "back": path}
    assert workers.second.post("/act/reveal", data=form, headers=ORIGIN).status_code == 303
    assert "&#34;amount&#34;: -1.0" in workers.first.get(path).text
    assert "&#34;amount&#34;" not in Workers(shop).first.get(path).text


def test_bulk_act_goes_on_from_what_another_worker_has_counted(workers: Workers, shop: Shop) -> None:
    ids = [shop.system.publish({"n": n}, group="counted elsewhere", delay=3_000.0) for n in range(3)]
    page = workers.first.get("/messages", params={"q": 'group="counted elsewhere"', "do": "cancel"}).text
    counted = re.search(r'name="counted" value="([^"]+)"', page)
    assert counted is not None
    form = {"csrf": csrf_of(page), "counted": counted[1], "back": "/messages"}
    assert workers.second.post("/act/bulk-cancel", data=form, headers=ORIGIN).status_code == 303
    assert "3 of the 3" in workers.first.get("/messages").text
    assert {shop.system.state(ident).status for ident in ids} == {"cancelled"}
    assert workers.first.post("/act/bulk-cancel", data=form, headers=ORIGIN).status_code == 303  # the form is sent twice
    assert "this form was sent before" in workers.second.get("/messages").text


def spellings(text: str) -> list[str]:
    """Return all texts for what one in base64 says: the last character may have bits that say nothing."""
    alphabet = string.ascii_letters + string.digits + "-_"
    padding = "=" * (-len(text) % 4)
    meant = base64.urlsafe_b64decode(text + padding)
    return [one for last in alphabet if base64.urlsafe_b64decode((one := text[:-1] + last) + padding) == meant]


def test_a_form_acts_once_also_with_the_cookie_of_before(workers: Workers, shop: Shop) -> None:
    """What a browser holds can be put back; the log cannot."""
    shop.system.publish({"n": 1}, group="counted once", delay=3_000.0)
    page = workers.first.get("/messages", params={"q": 'group="counted once"', "do": "cancel"}).text
    counted = re.search(r'name="counted" value="([^"]+)"', page)
    assert counted is not None
    form = {"csrf": csrf_of(page), "counted": counted[1], "back": "/messages"}
    before = dict(workers.first.cookies)
    assert workers.first.post("/act/bulk-cancel", data=form, headers=ORIGIN).status_code == 303
    begun = len(shop.system.dead_letters.bulks())
    for sent in [form | {"counted": text} for text in spellings(counted[1])]:
        for client in (workers.first, workers.second):
            client.cookies.clear()
            client.cookies.update(before)
            assert client.post("/act/bulk-cancel", data=sent, headers=ORIGIN).status_code == 303
            assert len(shop.system.dead_letters.bulks()) == begun


def test_cookie_of_another_version_is_one_or_none() -> None:
    known = Sessions(keys.of_process)
    mine = known.begin("ann")
    longer = mine.seal.sealed("session", [mine.principal, mine.secret, mine.began_s, "", {}, [b"spent"], "more"])
    found = known.find(longer)
    assert found is not None
    assert found.csrf == mine.csrf
    assert known.find(mine.seal.sealed("session", ["ann", "too short"])) is None


def test_count_of_another_browser_or_one_that_is_too_old_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Sessions(keys.of_process)
    mine, other = known.begin("ann"), known.begin("ann")
    count = mine.with_count([None, "letters", "type=shop.Order", 7, {"shop.Order": 2}, 0])
    assert mine.count_of(count) == [None, "letters", "type=shop.Order", 7, {"shop.Order": 2}, 0]
    assert other.count_of(count) is None
    monkeypatch.setattr(sessions, "COUNTED_S", -1.0)
    assert mine.count_of(count) is None


def test_session_that_was_changed_or_signed_elsewhere_or_has_ended_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Sessions(keys.of_process)
    cookie = known.begin("ann").cookie()
    found = known.find(cookie)
    assert found is not None
    assert found.principal == "ann"
    for changed in (cookie[:-2] + ("AA" if cookie[-2:] != "AA" else "BB"), cookie[1:], "", "ü", "no cookie", cookie + "A"):
        assert known.find(changed) is None, changed
    assert Sessions(keys.of_process).find(cookie) is None
    count = known.begin("ann").with_count([])
    assert known.find(count) is None  # signed here, and for something else
    monkeypatch.setattr(sessions, "SESSION_S", 0.0)
    assert known.find(cookie) is None


def test_cookie_stays_below_what_browsers_take() -> None:
    session = Sessions(keys.of_process).begin("a person of an organisation with a long name@example.com")
    for i in range(500):
        session.reveal(f"a.package.of.the.shop.Type{i}")
    session.set_notice("".join(chr(0x4E00 + i * 7 % 20_000) for i in range(5_000)))
    assert len(session.cookie()) < 3_900


def test_key_is_in_the_folder_for_its_user_alone_and_is_made_once(tmp_path: Path) -> None:
    first, second = keys.of_folder(tmp_path), keys.of_folder(tmp_path)
    assert first == second
    path = tmp_path / keys.KEY_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == [keys.KEY_NAME]
    path.unlink()
    assert keys.of_folder(tmp_path) != first  # which ends all sessions


def test_key_that_others_can_read_closes_the_console(shop: Shop) -> None:
    assert shop.console.folder is not None
    keys.of_folder(shop.console.folder)
    path = shop.console.folder / keys.KEY_NAME
    path.chmod(0o644)
    try:
        with pytest.raises(perdure.PerdureError, match="remove it"):
            keys.of_folder(shop.console.folder)
        browser = Patient(asgi(shop.system, principal=lambda _: "ann", hosts=["127.0.0.1"]), base_url="http://127.0.0.1")
        answer = browser.get("/")
        assert (answer.status_code, str(path) in answer.text) == (500, False)
    finally:
        path.unlink()


def test_folder_that_cannot_be_written_leaves_sessions_to_each_process(tmp_path: Path) -> None:
    assert keys.of_folder(tmp_path / "absent") != keys.of_folder(tmp_path / "absent")


@pytest.mark.parametrize(("secret", "error"), [("short", ValueError), (b"", ValueError), (7, TypeError), (["x" * 40], TypeError)])
def test_secret_that_is_none_is_refused(shop: Shop, secret: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="secret: "):
        asgi(shop.system, secret=secret)  # type: ignore[arg-type]  # wrong on purpose


def test_secret_of_the_host_makes_the_same_sessions_everywhere() -> None:
    cookie = Sessions(lambda: keys.of_secret("a secret of the host's own")).begin("ann").cookie()
    assert isinstance(Sessions(lambda: keys.of_secret(b"a secret of the host's own")).find(cookie), Session)
    assert Sessions(lambda: keys.of_secret("another secret of the host")).find(cookie) is None
