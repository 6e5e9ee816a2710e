"""The applications of docs/HOSTS.md that tests/examples/test_web.py does not run: a Django project, a unit of systemd, a container.

The project's own tests run as its developer runs them; then the whole of it, with its worker and its outbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "HOSTS.md").read_text(encoding="utf-8")
PATIENCE_S = 60.0


@pytest.fixture
def manage(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that gives the command line of a command of the Django project, which is copied."""
    project = shutil.copytree(ROOT / "examples" / "django", tmp_path / "project")
    return lambda *words: [sys.executable, str(project / "manage.py"), *words]


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "SHOP_DATA": str(folder)}
    place = Path(command[1]).parent
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.long(seconds=5)
def test_the_tests_of_the_django_project_pass(manage: Callable[..., list[str]], tmp_path: Path) -> None:
    assert "Ran 3 tests" in run(manage("test"), tmp_path)


ORDERS = """
from django.test import Client
client = Client()
assert client.post("/orders/A/2").status_code == 202
assert client.post("/orders/B/0").status_code == 400
assert client.post("/invoices/A").status_code == 202
"""


def orders(folder: Path) -> list[tuple[str, int, int]]:
    """Return the name of each order, whether it is paid, and its invoices."""
    with contextlib.closing(sqlite3.connect(folder / "shop.db", timeout=PATIENCE_S)) as database:
        return database.execute("SELECT name, paid, invoices FROM orders_order ORDER BY name").fetchall()


@pytest.mark.long(seconds=12)
def test_the_django_project_with_its_worker_and_its_outbox(manage: Callable[..., list[str]], tmp_path: Path) -> None:
    run(manage("migrate", "--verbosity", "0"), tmp_path)
    run(manage("shell", "--verbosity", "0", "-c", ORDERS), tmp_path)  # without a worker: spooled, and in the outbox
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        environment = {**os.environ, "SHOP_DATA": str(tmp_path), "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with (tmp_path / "log").open("wb") as log:
            worker = subprocess.Popen(manage("perdure"), env=environment, stdout=log, stderr=log)
        try:
            assert manager.recv(64) == b"READY=1"
            until_s = time.monotonic() + PATIENCE_S
            while orders(tmp_path) != [("A", 1, 2)]:
                assert time.monotonic() < until_s, (tmp_path / "log").read_text()
                time.sleep(0.02)
            status = json.loads(run(manage("perdure", "status", "--json"), tmp_path))
            assert {row["type"]: row["completed"] for row in status["types"]} == {"orders.Placed": 1, "orders.InvoiceDue": 2}
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
        finally:
            worker.kill()
            worker.wait()
    assert "perdure runs; it handles orders.InvoiceDue, orders.Placed" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", ["orders-worker.service", "Containerfile"])
def test_the_guide_shows_each_file_as_it_is(name: str) -> None:
    (shown,) = re.findall(rf"^```\w+ title=\"examples/deploy/{name}\"\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert shown == (ROOT / "examples" / "deploy" / name).read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "orders-worker.service"
    text = (ROOT / "examples" / "deploy" / unit.name).read_text(encoding="utf-8")
    unit.write_text(text.replace("/srv/shop/venv/bin/perdure", sys.executable).replace("User=shop\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert "orders-worker.service" not in done.stderr, done.stderr


def test_the_container_runs_the_worker_of_the_example_as_a_user_without_rights() -> None:
    text = (ROOT / "examples" / "deploy" / "Containerfile").read_text(encoding="utf-8")
    steps = dict(re.findall(r"^(USER|CMD|STOPSIGNAL|VOLUME) (.+)$", text, re.MULTILINE))
    assert steps == {"USER": "shop", "CMD": '["perdure", "run", "worker:system"]', "STOPSIGNAL": "SIGTERM", "VOLUME": "/data"}
    variables = dict(re.findall(r"(\w+)=(\S+)", re.findall(r"^ENV (.+)$", text, re.MULTILINE)[0]))
    assert variables["ORDERS_FOLDER"] == "/data"
    assert "ORDERS_FOLDER" in (ROOT / "examples" / "web" / "orders.py").read_text(encoding="utf-8")
