"""`perdure console`: a process that prints an address, opens one browser with it, and acts through the owner of the folder."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

import perdure
from tests.host.console.conftest import PATIENCE_S, Order, csrf_of, until
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long(seconds=6)


@contextmanager
def console(folder: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Start the command; give what it says of the folder, and the address that it prints."""
    command = ["-m", "perdure", "console", str(folder), *options]
    with Program(command, stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": "1", "COLUMNS": "400"}) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline(), running.stdout.readline().strip()
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()


def page_of(browser: httpx.Client, address: str) -> str:
    """Return a page once it has come: the first one may say that the log is being read."""
    found: list[str] = []

    def has_come() -> bool:
        found.append(browser.get(address).text)
        return "data-again" not in found[-1]

    until(has_come)
    return found[-1]


def test_folder_without_an_owner_is_opened_to_look_at(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "orders") as system:
        ident = system.publish(Order("ORD-1", 1.0))
    with (
        console(tmp_path / "orders", "--show-payloads") as (said, address),
        httpx.Client(follow_redirects=True, timeout=PATIENCE_S) as browser,
    ):
        assert "only to look at" in said
        base = address.split("/login", 1)[0]
        assert browser.get(base).status_code == 401
        assert browser.get(address).status_code == 200
        page = page_of(browser, f"{base}/messages/{ident}")
        assert "&#34;ORD-1&#34;" in page
        assert "/act/" not in page
        assert httpx.get(address, timeout=PATIENCE_S).status_code == 401  # the token is used


def test_live_folder_is_steered_through_its_owner(tmp_path: Path) -> None:
    with perdure.System(tmp_path / "orders", shared=True) as system, console(tmp_path / "orders") as (said, address):
        with httpx.Client(follow_redirects=True, timeout=PATIENCE_S) as browser:
            assert "(live)" in said
            ident = system.publish(Order("ORD-1", 1.0))
            browser.get(address)
            base = address.split("/login", 1)[0]
            form = {"csrf": csrf_of(page_of(browser, f"{base}/messages/{ident}")), "id": ident, "reason": "not wanted"}
            answer = browser.post(f"{base}/act/cancel", data=form, headers={"origin": base})
            assert "cancelled" in answer.text
        assert system.state(ident).status == "cancelled"
        (act,) = system.audit.acts()
        assert act.reason == "not wanted"
        assert "socket" in act.origin
