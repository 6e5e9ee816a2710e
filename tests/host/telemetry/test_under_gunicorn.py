"""Health checks, metrics and the console behind gunicorn, as hosts deploy them: in each worker, and as a plain WSGI application."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_S = 60.0

ASGI = """
import contextlib, os
import perdure, perdure.console, perdure.telemetry
from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

registry = CollectorRegistry()
timing = perdure.telemetry.PrometheusMiddleware(registry=registry)
system = perdure.System("data", shared=True, middleware=[timing])
perdure.telemetry.PrometheusCollector(system, registry=registry)

@contextlib.asynccontextmanager
async def lifespan(app):
    async with system:
        yield

async def order(request):
    return PlainTextResponse(await system.apublish({"n": 1}))

async def pid(request):
    return PlainTextResponse(str(os.getpid()))

app = Starlette(lifespan=lifespan, routes=[
    Route("/order", order, methods=["POST"]),
    Route("/pid", pid),
    Mount("/health", perdure.telemetry.asgi(system)),
    Mount("/metrics", make_asgi_app(registry)),
    Mount("/queue", perdure.console.asgi(
        system, principal=lambda request: "ann", authorize=lambda *asked: True, hosts=["127.0.0.1"],
    )),
])
"""
WSGI = """
import perdure, perdure.telemetry
app = perdure.telemetry.wsgi(perdure.connect("data", timeout=30.0))
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    running: list[subprocess.Popen[str]] = []

    def serve(source: str, *options: str) -> str:
        name = f"app{len(running)}"
        (tmp_path / f"{name}.py").write_text(source)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", f"{name}:app", "--bind", f"127.0.0.1:{port}", "--workers", "2", *options]
        log = (tmp_path / f"{name}.log").open("w")
        running.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, text=True, start_new_session=True))
        until_s = time.monotonic() + PATIENCE_S
        base = f"http://127.0.0.1:{port}"
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{base}/health/ready", timeout=PATIENCE_S).status_code == 200:
                    return base
            assert time.monotonic() < until_s, (tmp_path / f"{name}.log").read_text()
            time.sleep(0.05)

    yield serve
    for process in running[::-1]:
        process.terminate()
        try:
            assert process.wait(PATIENCE_S) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def check_forms(base: str) -> None:
    """A form that one worker has shown is taken by the others."""
    page = httpx.get(f"{base}/queue/types", timeout=PATIENCE_S)
    while page.status_code == 202:  # the log is still being read
        page = httpx.get(f"{base}/queue/types", timeout=PATIENCE_S)
    (cookie,) = page.cookies.items()
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token is not None, page.text
    form = {"csrf": token[1], "reason": "a look", "back": "/types"}
    for act in ("pause", "resume") * 6:  # each over a connection of its own, so now here and now there
        headers = {"origin": base, "cookie": "=".join(cookie)}
        answer = httpx.post(f"{base}/queue/act/{act}", data=form, headers=headers, timeout=PATIENCE_S)
        assert answer.status_code == 303, answer.text


@pytest.mark.long(seconds=12)
def test_health_metrics_and_console_under_gunicorn(serve: Callable[..., str]) -> None:
    base = serve(ASGI, "--worker-class", "uvicorn.workers.UvicornWorker")
    until_s = time.monotonic() + PATIENCE_S
    pids: set[str] = set()
    while len(pids) < 2:
        assert time.monotonic() < until_s
        assert httpx.post(f"{base}/order", timeout=PATIENCE_S).status_code == 200
        pids.add(httpx.get(f"{base}/pid", timeout=PATIENCE_S).text)
        assert httpx.get(f"{base}/health/live", timeout=PATIENCE_S).json() == {"live": True, "reasons": []}
        metrics = httpx.get(f"{base}/metrics/", timeout=PATIENCE_S).text
        assert "perdure_up 1.0" in metrics
        page = httpx.get(f"{base}/queue/", timeout=PATIENCE_S)
        assert page.status_code == 200
        assert "ann" in page.text
    check_forms(base)
    plain = serve(WSGI)
    assert httpx.get(f"{plain}/ready", timeout=PATIENCE_S).json() == {"ready": True, "reasons": []}
