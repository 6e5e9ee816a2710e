"""`live` and `ready` in each state of a system, with reasons, and the endpoints that say so."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.telemetry import asgi, live, ready, wsgi

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Job:
    number: int


def test_a_system_that_was_not_started_is_alive_and_not_ready(folder: Path) -> None:
    system = perdure.System(folder)
    assert live(system)
    assert not ready(system)
    assert ready(system).reasons == ("the system does not run: it was not started, or is being stopped",)
    with system:
        assert live(system)
        assert ready(system)
        assert ready(system).reasons == ()
    assert live(system)
    assert not ready(system)


def test_a_full_backlog_is_not_ready_and_says_what_is_full(folder: Path) -> None:
    with perdure.System(folder, options=perdure.Options(backlog_max=2)) as system:
        system.publish_many([Job(1), Job(2)])
        assert live(system)
        (reason,) = ready(system).reasons
        assert reason == "the backlog is full: 2 messages wait, of `Options.backlog_max` 2"


def test_a_system_that_has_given_up_is_neither_and_says_why(folder: Path, until: Until) -> None:
    with perdure.System(folder) as system:
        cause = OSError("the disk is on fire")
        system.runtime.budget.stop_for_good("the system has stopped: it is of no use", cause)
        until(lambda: not live(system))
        for check in (live(system), ready(system)):
            assert check.reasons == ("NotRunning: the system has stopped: it is of no use (OSError: the disk is on fire)",)


def test_a_client_is_ready_as_long_as_its_owner_answers(folder: Path) -> None:
    with perdure.System(folder, shared=True), perdure.connect(folder, timeout=1.5) as client:
        assert ready(client)
    assert live(client)
    assert "NotRunning" in ready(client).reasons[0]


def got(application: Any, path: str) -> tuple[int, dict[str, Any]]:
    """Ask an ASGI application as a server does."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application({"type": "http", "path": path, "method": "GET"}, receive, send))
    start, body = sent
    return start["status"], json.loads(body["body"])


def test_the_endpoints_answer_200_or_503_with_reasons(folder: Path) -> None:
    system = perdure.System(folder)
    application = asgi(system)
    with system:
        assert got(application, "/health/live") == (200, {"live": True, "reasons": []})
        assert got(application, "/health/ready") == (200, {"ready": True, "reasons": []})
    status, answer = got(application, "/ready")
    assert (status, answer["ready"]) == (503, False)
    assert "does not run" in answer["reasons"][0]
    assert got(application, "/")[0] == 404


@pytest.mark.parametrize(("path", "status"), [("/live", "200 OK"), ("/ready/", "503 Service Unavailable"), ("/x", "404 Not Found")])
def test_the_wsgi_endpoints_answer_as_well(folder: Path, path: str, status: str) -> None:
    begun: list[str] = []
    (body,) = wsgi(perdure.System(folder))({"PATH_INFO": path}, lambda status, _headers: begun.append(status))
    assert begun == [status]
    assert json.loads(body)
