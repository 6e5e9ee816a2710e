"""The console in a real browser: live, through time, by keyboard, for screen readers; and the screenshots of the docs.

`PERDURE_SCREENSHOTS=docs/screenshots pytest -m long tests/host/console/test_browser.py` makes the pictures anew.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.host.console.browsing import chromium, go, served, tab
from tests.host.console.conftest import Order, make_shop, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Route

    from tests.host.console.conftest import Shop

pytestmark = [pytest.mark.long(seconds=40), pytest.mark.xdist_group("console in a browser")]
PATHS = [
    "/",
    "/messages",
    "/messages?place=held",
    "/dead-letters",
    "/dead-letters?where=type%3Dshop.Order",
    "/types",
    "/types/shop.Order",
]
MORE_PATHS = ["/schedules", "/processes", "/actors", "/acts", "/compare?a=5", "/?at=40"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(tmp_path_factory.mktemp("shop") / "orders", orders=120)
    yield made
    made.console.close()
    made.system.stop(0.0)


@pytest.fixture(scope="module")
def site(busy: Shop) -> Iterator[str]:
    with served(busy.console) as address:
        yield address


def test_screen_readers_find_nothing_serious(browser: Browser, site: str, busy: Shop) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = {}
    for scheme in ("light", "dark"):
        with tab(browser, site, color_scheme=scheme) as page:
            for path in [*PATHS, *MORE_PATHS, f"/messages/{busy.bad}"]:
                go(page, path)
                violations = axe.run(page).response["violations"]
                serious = [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")]
                if serious:
                    found[scheme, path] = serious
    assert found == {}


def test_narrow_screen_shows_everything_without_scrolling_sideways(browser: Browser, site: str, busy: Shop) -> None:
    with tab(browser, site, viewport={"width": 360, "height": 700}) as page:
        for path in [*PATHS, *MORE_PATHS, f"/messages/{busy.bad}"]:
            go(page, path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_page_moves_by_itself(browser: Browser, site: str, busy: Shop) -> None:
    with tab(browser, site) as page:
        before = page.locator(".side [data-count=dead]").inner_text()
        busy.system.publish(Order("ORD-new", -5.0))
        until(lambda: page.locator(".side [data-count=dead]").inner_text() != before)
        shown = ".figures .bad dd a"
        until(lambda: page.locator(shown).first.inner_text() == page.locator("[data-count=dead]").inner_text())


def test_slider_shows_the_page_as_it_was_plays_and_comes_back(browser: Browser, site: str) -> None:
    with tab(browser, site) as page:
        slider = page.locator("[data-slider]")
        slider.focus()
        page.keyboard.press("Home")
        until(lambda: page.evaluate("document.body.hasAttribute('data-past')"))
        assert "at=" in page.url
        until(lambda: page.evaluate("document.querySelector('footer').textContent.includes('As it was')"))
        page.keyboard.press("End")
        until(lambda: page.evaluate("!document.body.hasAttribute('data-past')"))
        for _ in range(4):  # from here it takes some three seconds; from the first moment, three quarters of a minute
            page.keyboard.press("ArrowLeft")
        until(lambda: page.evaluate("document.body.hasAttribute('data-past')"))
        page.locator("[data-play]").click()
        until(lambda: page.evaluate("!document.body.hasAttribute('data-past')"))  # played to its end
        assert "at=" not in page.url
        page.keyboard.press("Escape")


def test_way_back_to_now_comes_with_the_slider_and_new_moments_with_the_page(browser: Browser, site: str, busy: Shop) -> None:
    with tab(browser, site) as page:
        slider = page.locator("[data-slider]")
        slider.focus()
        page.keyboard.press("Home")
        page.locator("[data-now]").wait_for()
        assert "data-slider" in page.evaluate("document.activeElement.outerHTML")  # arrows go on from there
        page.keyboard.press("n")
        page.wait_for_url(lambda url: "at=" not in url)
        slider.wait_for()
        last = page.evaluate("JSON.parse(document.querySelector('[data-slider]').dataset.marks).at(-1)[0]")
        slider.focus()  # a hand that rests on the slider stops nothing
        busy.system.publish(Order("ORD-later", 9.5))
        until(lambda: page.evaluate("JSON.parse(document.querySelector('[data-slider]').dataset.marks).at(-1)[0]") > last)


def test_nothing_is_cut_off_or_broken_over_lines_at_common_widths(browser: Browser, site: str, busy: Shop) -> None:
    for width in (1180, 380):
        with tab(browser, site, viewport={"width": width, "height": 760}) as page:
            for path in [*PATHS, *MORE_PATHS, f"/messages/{busy.bad}"]:
                go(page, path)
                hidden = "table => table.scrollWidth > table.parentElement.clientWidth + 1"
                cut = page.evaluate(f"[...document.querySelectorAll('.wide > table')].filter({hidden}).map(t => t.innerText)")
                assert cut == [], (width, path)
                rows = page.evaluate(
                    "new Set([...document.querySelectorAll('.time > button, .time > a')].map(b => b.offsetTop)).size"
                )
                assert rows <= (1 if width > 1000 else 2), (width, path)


def test_keyboard_is_enough(browser: Browser, site: str, busy: Shop) -> None:
    with tab(browser, site) as page:
        page.keyboard.press("g")
        page.keyboard.press("d")
        page.wait_for_url("**/dead-letters")
        page.keyboard.press("j")
        page.evaluate("perdure.show(location.href, { record: false })")  # something new came meanwhile
        page.keyboard.press("Enter")
        page.wait_for_url("**/dead-letters?where=*")
        page.keyboard.press("/")
        page.keyboard.type("key=k7")
        page.keyboard.press("Enter")
        page.wait_for_url("**/messages?q=*")
        page.locator(f"a[href='/messages/{busy.bad}']").wait_for()
        page.keyboard.press("?")
        page.locator("dialog[open]").wait_for()


def test_what_is_typed_while_the_page_fetches_itself_stays(browser: Browser, site: str, busy: Shop) -> None:
    held: list[Route] = []
    with tab(browser, site) as page:
        go(page, f"/messages/{busy.bad}")
        page.route("**/messages/*", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks the function
        page.evaluate("void (window.look = perdure.show(location.href, { record: false, unless: perdure.busy }))")
        while not held:  # playwright handles what the browser asks for within its own calls alone
            page.wait_for_timeout(5)
        page.locator(".why").first.fill("typed meanwhile")
        page.locator(".why").first.blur()
        for route in held:
            route.continue_()
        assert page.evaluate("window.look") is False
        assert page.locator(".why").first.input_value() == "typed meanwhile"
        page.unroute("**/messages/*")
        page.locator(".why").first.fill("")
        page.locator(".why").first.blur()
        assert page.evaluate("perdure.show(location.href, { record: false, unless: perdure.busy })") is True


def test_form_that_is_refused_stays_as_it_was_filled_in_under_the_address_of_its_page(
    browser: Browser, site: str, busy: Shop
) -> None:
    with tab(browser, site) as page:
        go(page, "/types/shop.Order")
        page.locator("summary", has_text="Publish a message").click()
        page.locator("textarea[name=payload]").fill('{"order": "ORD-1",}')
        page.get_by_role("button", name="Publish").click()
        page.locator(".refused", has_text="no JSON").wait_for()
        until(lambda: page.evaluate("document.activeElement.name") == "payload")  # once the page's scripts are there
        assert page.evaluate("location.pathname") == "/types/shop.Order"
        seq = page.locator("[data-seq]").inner_text()
        busy.system.publish({"n": 1}, delay=3_000.0)
        until(lambda: page.locator("[data-seq]").inner_text() != seq)  # the page hears of news, and does not fetch itself anew
        assert page.evaluate("perdure.busy()")
        assert page.locator("textarea[name=payload]").input_value() == '{"order": "ORD-1",}'


def test_link_that_is_followed_while_the_first_page_comes_in_stays_followed(browser: Browser, site: str) -> None:
    first: list[Route] = []
    followed: list[Route] = []
    with tab(browser, site) as page:
        page.route("**/live", lambda route: route.fulfill(content_type="text/event-stream", body=""))  # this page moves by hand
        go(page, "/")
        page.route("**/", lambda route: first.append(route))  # noqa: PLW0108 - playwright marks the function
        page.route("**/dead-letters", lambda route: followed.append(route))  # noqa: PLW0108 - as above
        without_time = "document.querySelector('.time').remove();"  # as on the page that says how far the log is read
        page.evaluate(without_time + "void perdure.show(location.href).then((led) => console.info('led back: ' + led))")
        while not first:
            page.wait_for_timeout(5)
        page.evaluate("void setTimeout(() => document.querySelector('.side a[href=\"/dead-letters\"]').click())")
        while not followed:
            page.wait_for_timeout(5)
        with page.expect_console_message(lambda message: "led back" in message.text) as told:  # to evaluate would wait for the link
            first[0].continue_()
        assert told.value.text == "led back: false"
        followed[0].continue_()
        page.wait_for_url("**/dead-letters")
        page.locator("h1", has_text="Dead letters").wait_for()


def test_dark_and_light_are_remembered(browser: Browser, site: str) -> None:
    with tab(browser, site, color_scheme="light") as page:
        page.locator("[data-theme-toggle]").click()
        go(page, "/types")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == "rgb(16, 21, 27)"


def test_everything_works_without_scripts(browser: Browser, site: str) -> None:
    with tab(browser, site, java_script_enabled=False) as page:
        page.locator("#at").fill("40")
        page.locator("form.time button", has_text="Go").click()
        assert "at=40" in page.url
        assert "As it was" in page.locator("footer").inner_text()
        go(page, "/types/shop.Stock")
        page.locator("form[action='/act/pause'] .why").fill("a look at the warehouse")
        page.locator("form[action='/act/pause'] button").click()
        assert "deliveries are paused" in page.locator(".notice").inner_text()
        page.locator("form[action='/act/resume'] button").click()
        assert "deliveries go on" in page.locator(".notice").inner_text()


def test_killed_actor_comes_back_before_ones_eyes(browser: Browser, site: str, busy: Shop) -> None:
    with tab(browser, site) as page:
        go(page, "/actors")
        row = page.locator("tr[data-actor=dead_letters]")
        row.locator("button").click()
        page.locator(".notice", has_text="killed").wait_for()
        until(lambda: page.evaluate("Number(document.querySelector('tr[data-actor=dead_letters] td.n')?.textContent) > 0"))
        assert busy.system.actors["dead_letters"].is_alive()


def test_pictures_of_the_docs(browser: Browser, site: str, busy: Shop) -> None:
    folder = os.environ.get("PERDURE_SCREENSHOTS")
    if not folder:
        pytest.skip("PERDURE_SCREENSHOTS names no folder")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for i in range(400):  # some seconds of traffic, so that there is something to see
        busy.system.publish(Order(f"ORD-{i}", -1.0 if i % 29 == 7 else 9.5), key=f"more {i}")
        time.sleep(0.005 * (1 + (i // 50) % 4))
    until(lambda: busy.console.live.history_known() >= 1.0)
    pictures = {
        "overview": ("/", "light"),
        "message": (f"/messages/{busy.bad}", "light"),
        "dead-letters": ("/dead-letters?where=type%3Dshop.Order&do=replay", "light"),
        "past": ("/?at=1500", "dark"),
    }
    for name, (path, scheme) in pictures.items():
        with tab(browser, site, viewport={"width": 1180, "height": 760}, color_scheme=scheme) as page:
            go(page, path)
            picture = Path(folder) / f"console-{name}.png"
            page.screenshot(path=str(picture))
            shrink(picture)


def shrink(picture: Path) -> None:
    """Write a picture anew with a palette of 128 colours, rare ones among them (red is): half of the bytes."""
    from PIL import Image

    with Image.open(picture) as made:
        small = made.convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)
