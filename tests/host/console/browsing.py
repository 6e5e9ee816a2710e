"""Debian's chromium, driven by Playwright, and consoles on loopback for it. Tests are skipped where either is missing.

No test lives here.
"""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from perdure.console.app import application
from tests.host.console.conftest import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from perdure.console.console import Console

__all__ = ["chromium", "go", "served", "served_app", "tab"]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; skip the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(console: Console, principal: str = "ann") -> Iterator[str]:
    """Serve a console on a free port of loopback; give its address."""
    with served_app(application(console, hosts=("127.0.0.1",), principal=lambda _: principal)) as address:
        yield address


@contextmanager
def served_app(app: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback; give its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10.0)


def go(page: Page, path: str) -> None:
    """Open a page, and wait until the log is read for it."""
    page.goto(path)
    page.locator("main [data-again]").wait_for(state="detached")


@contextmanager
def tab(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """Open a tab at the first page of a console. Whatever the browser complains of while it is open fails the test."""
    page = browser.new_page(base_url=address, **options)
    complaints: list[str] = []
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(PATIENCE_S * 1000 / 2)
    go(page, "/")
    yield page
    page.close()
    assert [text for text in complaints if "status of 404" not in text] == []
