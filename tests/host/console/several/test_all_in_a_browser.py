"""Pages of all partitions in a real browser: for screen readers, on narrow screens, and the search that leads to a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.host.console.browsing import chromium, go, served_app, tab
from tests.host.console.several.conftest import PARTITIONS, app_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    import perdure
    from perdure.console.console import Console

pytestmark = [pytest.mark.long(seconds=30), pytest.mark.xdist_group("postgres")]
PATHS = (
    "/",
    "/?at=1s",
    "/messages",
    "/messages?place=ready",
    "/messages?q=error~address",
    "/dead-letters",
    "/dead-letters?where=error~no",
    "/dead-letters?where=error~no&do=edit",
    "/messages?type=shop.Secret&do=cancel",
    "/types",
    "/types?at=1s",
    "/types/shop.Parcel",
    "/types/shop.Secret",
    "/schedules",
    "/processes",
    "/processes?at=1s",
    "/actors",
    "/acts",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(consoles: dict[int, Console]) -> Iterator[str]:
    with served_app(app_of(consoles)) as address:
        yield address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screen_readers_find_nothing_serious_on_pages_of_all(browser: Browser, site: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = {}
    with tab(browser, site, color_scheme=scheme) as page:
        for path in PATHS:
            go(page, path)
            violations = axe.run(page).response["violations"]
            serious = [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")]
            if serious:
                found[path] = serious
    assert found == {}


@pytest.mark.parametrize("width", [1180, 380, 360])
def test_nothing_is_cut_off_on_pages_of_all(browser: Browser, site: str, width: int) -> None:
    with tab(browser, site, viewport={"width": width, "height": 760}) as page:
        for path in PATHS:
            go(page, path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            hidden = "table => table.scrollWidth > table.parentElement.clientWidth + 1"
            cut = page.evaluate(f"[...document.querySelectorAll('.wide > table')].filter({hidden}).map(t => t.innerText)")
            assert cut == [], path


def test_the_search_of_the_first_page_leads_to_a_message_in_whichever_partition(browser: Browser, site: str) -> None:
    with tab(browser, site) as page:
        page.keyboard.press("/")
        page.keyboard.type("key=parcel-7")
        page.keyboard.press("Enter")
        page.wait_for_url("**/messages?q=key*")
        page.locator("a.id").click()
        page.wait_for_url("**/partition/*/messages/*")
        page.locator("text=no address for parcel 7").first.wait_for()


def test_dead_letters_of_all_partitions_are_purged_by_clicks_and_keys(
    browser: Browser, site: str, cluster: perdure.Cluster
) -> None:
    with tab(browser, site) as page:
        page.keyboard.press("g")
        page.keyboard.press("d")
        page.wait_for_url("**/dead-letters")
        page.locator("main table a").first.click()
        page.locator("text=Purge all of these").click()
        page.wait_for_url("**do=purge*")
        page.locator("main [data-again]").wait_for(state="detached")
        counted = page.locator("[aria-label='Counted in each partition'] li")
        assert counted.count() == PARTITIONS
        before = cluster.dead_letters.stats().total
        page.locator("input.why").fill("no depot there")
        page.locator("form.act button").click()
        page.locator(f"text=purge: {before} of the {before} dead letter(s) that were counted").wait_for()
    assert cluster.dead_letters.stats().total == 0
