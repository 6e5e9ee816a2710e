"""Five incidents, handled in a browser with the console alone by an operator who does what the pages offer.

A poison message, a stuck group, a wrong deploy whose dead letters are edited and replayed, an auditor's question about last
Tuesday, a full disk.
"""

from __future__ import annotations

import datetime as dt
import errno
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.console.console import Console
from perdure.security import Rights
from perdure.store import SegmentStore
from perdure.store.disk.disk import Disk
from tests.host.console.browsing import chromium, go, served, tab
from tests.host.console.conftest import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.long(seconds=40), pytest.mark.xdist_group("console in a browser")]
QUIET = perdure.Options(log_failures=None, log_dead_letters=None)


@perdure.message(name="shop.Parcel")
@attrs.frozen
class Parcel:
    parcel: str
    weight_kg: float


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def console_of(system: perdure.System) -> Console:
    return Console(Console.of(system).reader, system, rights=Rights())


def confirm(page: Page, button: str, why: str) -> str:
    """Press a button of the first form that has it, with a reason, and return what the next page says."""
    form = page.locator("form.act", has=page.locator("button", has_text=button)).first
    if form.locator(".why").count():
        form.locator(".why").fill(why)
    form.locator("button", has_text=button).click()
    return page.locator(".notice").inner_text()


def test_poison_message_is_found_understood_and_cancelled(browser: Browser, tmp_path: Path) -> None:
    system = perdure.System(tmp_path / "parcels", options=QUIET)

    @system.handler(Parcel, retries=20, backoff=perdure.Fixed(600.0))
    def ship(parcel: Parcel, ctx: perdure.Context) -> None:
        if parcel.weight_kg < 0:
            msg = f"parcel {parcel.parcel} weighs {parcel.weight_kg} kg"
            raise ValueError(msg)

    with system, served(console_of(system)) as address:
        system.publish_many([Parcel(f"P{i}", 1.0) for i in range(20)])
        poison = system.publish(Parcel("P-666", -1.0), key="P-666")
        until(lambda: system.state(poison).status == "delayed")
        with tab(browser, address) as page:
            page.locator("#find").fill('error~"weighs -1.0"')
            page.keyboard.press("Enter")
            page.locator("[data-rows] a.id").first.click()
            page.locator("h1", has_text=poison).wait_for()
            assert "ValueError: parcel P-666 weighs -1.0 kg" in page.locator("pre[aria-label^=Traceback]").first.inner_text()
            assert "cancelled" in confirm(page, "Cancel this message", "cannot be shipped")
        assert system.state(poison).status == "cancelled"
        act = list(system.audit.acts())[-1]
        assert (act.principal, act.action, act.reason) == ("ann", "cancel", "cannot be shipped")


def test_stuck_group_is_seen_and_let_go(browser: Browser, tmp_path: Path) -> None:
    system, open_ = perdure.System(tmp_path / "parcels", options=QUIET), threading.Event()

    @system.handler(Parcel, retries=9, backoff=perdure.Fixed(3_600.0))
    def ship(parcel: Parcel, ctx: perdure.Context) -> None:
        if not open_.is_set():
            msg = "the depot is closed"
            raise ConnectionError(msg)

    with system, served(console_of(system)) as address:
        ids = [system.publish(Parcel(f"P{i}", 1.0), group="depot 9") for i in range(5)]
        until(lambda: system.state(ids[0]).status == "delayed")
        with tab(browser, address) as page:
            alert = page.locator(".alerts li", has_text="depot 9")
            assert "4 wait" in alert.inner_text()
            alert.locator("a").click()
            assert "the depot is closed" in page.locator(".explanation").inner_text()
            open_.set()  # the depot says on the telephone that it is open again
            assert "is handled now" in confirm(page, "Run now", "the depot is open")
            until(lambda: all(system.state(ident).status == "completed" for ident in ids))
            go(page, "/")
            until(lambda: page.evaluate("!document.body.textContent.includes('depot 9')"))


def test_dead_letters_of_a_wrong_deploy_are_edited_and_replayed(browser: Browser, tmp_path: Path) -> None:
    system = perdure.System(tmp_path / "parcels", options=QUIET)

    @system.handler(Parcel, retries=0)
    def ship(parcel: Parcel, ctx: perdure.Context) -> None:
        if parcel.weight_kg > 1000:
            msg = f"parcel {parcel.parcel} of {parcel.weight_kg} kg"  # the deploy of noon wrote grams
            raise OverflowError(msg)

    with system, served(console_of(system)) as address:
        ids = system.publish_many([Parcel(f"P{i}", 2500.0) for i in range(40)])
        other = system.publish(Parcel("P-heavy", 1_000_000.0))
        until(lambda: system.dead_letters.stats().total == 41)
        with tab(browser, address) as page:
            page.get_by_role("link", name="Dead letters").first.click()
            page.locator("#main input[name=where]").fill("type=shop.Parcel payload.weight_kg=2500.0")
            page.locator("#main form.filters button").click()
            page.locator("td.none").wait_for()  # payloads are hidden
            go(page, f"/messages/{ids[0]}")
            assert "payloads are shown" in confirm(page, "Reveal", "grams instead of kilograms")
            go(page, "/dead-letters?where=type%3Dshop.Parcel+payload.weight_kg%3D2500.0")
            page.locator("a", has_text="Edit and replay all").click()
            assert "40 dead letter(s) would be edited" in page.locator(".bulk").inner_text()
            page.locator("input[name=path]").fill("weight_kg")
            page.locator("input[name=value]").fill("2.5")
            assert "40 of the 40" in confirm(page, "Edit 40", "grams instead of kilograms")
        until(lambda: all(system.state(ident).status == "completed" for ident in ids))
        assert system.state(other).status == "dead"


def test_auditors_question_about_last_tuesday_is_answered(browser: Browser, tmp_path: Path) -> None:
    clock = perdure.ManualClock(start_us=round(dt.datetime(2026, 11, 17, 9, tzinfo=dt.UTC).timestamp() * 1e6))
    system = perdure.System(tmp_path / "parcels", options=QUIET, clock=clock)
    with system:
        tuesday = system.publish(Parcel("P-1", 1.0), key="P-1")
        clock.advance(26 * 3600.0)
        with perdure.acting_as("bob", reason="the customer rang"):
            system.cancel(tuesday, "cancelled by the customer")
        clock.advance(5 * 24 * 3600.0)
        system.publish(Parcel("P-2", 1.0))
        with served(console_of(system)) as address, tab(browser, address) as page:
            page.locator("#find").fill("key=P-1")
            page.keyboard.press("Enter")
            page.locator("[data-rows] a.id").click()
            page.locator("h1", has_text=tuesday).wait_for()
            page.locator("#at").fill("2026-11-17 12:00")  # what was true then?
            page.locator("form.time button", has_text="Go").click()
            assert page.locator(".head .status").inner_text() == "ready"
            assert "was cancelled" not in page.locator(".explanation").inner_text()
            page.locator("a", has_text="Compare with now").click()  # what happened since, and who did it?
            row = page.locator("tr", has=page.locator("th", has_text="cancelled")).first
            row.wait_for()
            assert row.locator("td").all_inner_texts() == ["0", "1", "+1"]
            assert "bob: cancel" in page.locator("section", has_text="Acts in between").last.inner_text()


class FillingDisk(Disk):
    """A disk that can be full."""

    is_full = False

    def write(self, fd: int, data: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data)


def test_full_disk_is_told_and_work_goes_on_when_there_is_room(browser: Browser, tmp_path: Path, monkeypatch: Any) -> None:
    disk = FillingDisk()
    system = perdure.System(store=SegmentStore(tmp_path / "parcels", disk=disk), options=QUIET)
    handled: list[str] = []

    @system.handler(Parcel)
    def ship(parcel: Parcel, ctx: perdure.Context) -> None:
        handled.append(parcel.parcel)

    console = console_of(system)
    with system, served(console) as address, tab(browser, address) as page:
        system.publish(Parcel("P-1", 1.0))
        until(lambda: handled == ["P-1"])
        disk.is_full = True
        monkeypatch.setattr(console, "disk", lambda: (10 << 30, 0 if disk.is_full else 5 << 30))
        with pytest.raises(perdure.StoreUnavailable):
            system.publish(Parcel("P-2", 1.0))
        go(page, "/")
        alerts = page.locator(".alerts").inner_text()
        assert "The disk has 0 MiB left" in alerts
        assert "could not be written" in alerts
        go(page, "/types/shop.Parcel")
        assert "Not done" in confirm(page, "Pause", "no room")  # an act that cannot be recorded is not done
        disk.is_full = False
        until(lambda: _publishes(system))
        go(page, "/")
        until(lambda: page.evaluate("!document.body.textContent.includes('MiB left')"))
        until(lambda: "P-3" in handled)


def _publishes(system: perdure.System) -> bool:
    try:
        system.publish(Parcel("P-3", 1.0), id="P-3")
    except perdure.StoreUnavailable:
        return False
    return True
