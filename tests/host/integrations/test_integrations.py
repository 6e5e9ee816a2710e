"""perdure in its hosts, in this process: a lifespan of Starlette, the extension of Flask, systemd's notice, Django's connections.

Whole applications, under their servers and commands, are run in tests/examples.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from flask import Flask, current_app
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

import perdure
from perdure.chaos import SimulatedSystem
from perdure.integrations.flask import Perdure
from perdure.integrations.starlette import lifespan
from perdure.integrations.systemd import notify
from perdure.telemetry import asgi

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.host.conftest import Until

WEB = Path(__file__).parents[3] / "examples" / "web"


@perdure.message(name="shop.Placed")
@attrs.frozen
class Placed:
    order: str


async def place(request: Request) -> JSONResponse:
    return JSONResponse({"id": await request.app.state.perdure.apublish(Placed("A"), id="order-A")})


async def receipt(request: Request) -> JSONResponse:
    return JSONResponse(await request.app.state.perdure.acall(Placed("B"), timeout=30.0))


def test_a_lifespan_starts_and_stops_the_system_on_the_loop_of_the_application(folder: Path) -> None:
    system = perdure.System(folder)
    threads: list[str] = []

    @system.handler(Placed)
    async def charge(placed: Placed) -> str:
        threads.append(threading.current_thread().name)
        return placed.order

    routes = [Route("/place", place), Route("/receipt", receipt), Mount("/health", asgi(system))]
    app = Starlette(routes=routes, lifespan=lifespan(system))
    with TestClient(app) as http:
        assert http.get("/place").json() == {"id": "order-A"}
        assert http.get("/receipt").json() == "B"
        assert http.get("/health/ready").status_code == 200
        assert system.running
    assert not system.running
    assert not [name for name in threads if name.startswith("perdure")], "the loop is the application's"


def test_a_lifespan_starts_and_stops_the_relay_of_an_outbox(folder: Path, tmp_path: Path, until: Until) -> None:
    system = perdure.System(folder)
    charged = threading.Event()

    @system.handler(Placed)
    def charge(_: Placed) -> None:
        charged.set()

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "shop.db")

    with contextlib.closing(connect()) as database, database:
        outbox = perdure.Outbox(database, system=system)
        outbox.create_table()
        outbox.publish(Placed("A"))
    relay = perdure.OutboxRelay(system, connect)
    with TestClient(Starlette(lifespan=lifespan(system, relay))):
        assert charged.wait(30.0)
        until(lambda: relay.published == 1)  # its row is deleted behind the publish
    with contextlib.closing(connect()) as database:
        assert database.execute("SELECT count(*) FROM perdure_outbox").fetchone() == (0,)
    assert not system.running


def test_a_lifespan_refuses_what_it_cannot_start(folder: Path) -> None:
    system = perdure.System(folder)
    wrong: Any = object()
    with (
        pytest.raises(TypeError, match="a function that makes one, not object"),
        TestClient(Starlette(lifespan=lifespan(system, wrong))),
    ):
        pass
    assert not system.running


def test_a_lifespan_connects_a_client_in_each_worker(folder: Path) -> None:
    with perdure.System(folder, shared=True) as owner:
        app = Starlette(routes=[Route("/place", place)], lifespan=lifespan(lambda: perdure.connect(folder)))
        for _ in range(2):  # two workers
            with TestClient(app) as http:
                assert http.get("/place").json() == {"id": "order-A"}
                connected = app.state.perdure
            with pytest.raises(perdure.NotRunning):
                connected.publish(Placed("B"))
        assert owner.admin.metrics().published == 1


def test_a_part_that_cannot_start_fails_the_start_and_stops_those_before_it(folder: Path) -> None:
    first = perdure.System(folder)
    second = perdure.System(store=perdure.MemoryStore())

    @second.on_start
    def fails() -> None:
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"), TestClient(Starlette(lifespan=lifespan(first, second))):
        pass
    assert not first.running


@pytest.fixture
def flask_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example, imported as Flask imports it."""
    monkeypatch.syspath_prepend(str(WEB))
    names = ("flask_app", "charging", "orders")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import flask_app  # type: ignore[import-not-found]  # written by this test

    yield SimpleNamespace(app=flask_app, orders=sys.modules["orders"])
    for name in names:
        sys.modules.pop(name, None)


def test_the_flask_application_runs_on_a_simulated_system(
    flask_module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SimulatedSystem() as system:
        system.include(flask_module.app.queue.handlers)
        http = flask_module.app.create_app(client=system).test_client()
        assert http.post("/orders/A").get_json()["id"] == "order-A"
        system.run_until_idle()
        system.assert_published(flask_module.orders.Placed, {"order": "A"}, times=1)
        assert http.get("/orders/A").get_json() == {"status": "completed"}
    assert Path("charged.txt").read_text() == "order-A 1\n"


def test_handlers_of_flask_run_in_the_context_of_the_application_and_requests_reach_them(folder: Path) -> None:
    queue, seen = Perdure(), list[str]()

    @queue.handlers.handler(Placed)
    def charge(placed: Placed) -> str:
        seen.append(current_app.config["SHOP"])
        return placed.order

    app = Flask(__name__)
    app.config.update(PERDURE_FOLDER=str(folder), SHOP="corner shop", PERDURE_CLIENT={"name": "web"})
    queue.init_app(app)
    with queue.system(app) as worker, app.app_context():
        assert queue.client.call(Placed("A"), timeout=30.0) == "A"
        assert queue.client is queue.client
        queue.publish(Placed("B"))
        worker.drain(30.0)
    assert seen == ["corner shop"] * 2
    assert "perdure" in app.cli.commands
    assert Perdure(Flask("other")).handlers is not queue.handlers
    with pytest.raises(perdure.InvalidMessage, match="PERDURE_FOLDER"):
        queue.system(Flask("without"))


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told_through_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify()
    address = f"@perdure-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{address[1:]}" if is_abstract else address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert notify()
        assert manager.recv(64) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify(), "a manager that does not listen stops nothing"


@pytest.mark.parametrize("is_async", [False, True])
def test_old_connections_of_django_are_closed_around_each_message(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    pytest.importorskip("django")
    from perdure.integrations.django import connections

    seen: list[str] = []
    monkeypatch.setattr(connections, "close_old_connections", lambda: seen.append("closed"))
    system = perdure.System(store=perdure.MemoryStore(), middleware=[connections.CleanConnections()])

    async def awaits(placed: Placed) -> None:
        seen.append(placed.order)
        if placed.order == "bad":
            raise perdure.Reject("bad")

    def works(placed: Placed) -> None:
        seen.append(placed.order)
        if placed.order == "bad":
            raise perdure.Reject("bad")

    system.handler(Placed)(awaits if is_async else works)
    with system:
        system.publish(Placed("bad"))
        system.publish(Placed("good"))
        system.drain(30.0)
    assert seen == ["closed", "bad", "closed", "closed", "good", "closed"]
