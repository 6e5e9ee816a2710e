"""`live` and `ready`: whether a system must be restarted, and whether it takes messages now, with reasons; endpoints that say so.

The endpoints are an ASGI and a WSGI application of two paths, to be mounted in the host's own. What leads to these states is in
`perdure.actors.core.health` and in the queue.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import attrs

from perdure.actors.core.messages import Report
from perdure.events.errors import NotRunning, PerdureError
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from perdure.actors.queue.queue_report import QueueReport
    from perdure.options import Options
    from perdure.processes.client import Client

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Scope]]
    Send = Callable[[Scope], Awaitable[None]]


@runtime_checkable
class ClusterFront(Protocol):
    """A `Cluster`, or the client of one: several partitions, each with an owner of its own."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def options(self) -> Options:
        """Those of each partition."""

    def through(self, number: int, call: Callable[[Any], Any]) -> Any:
        """Return what a call on a partition answers."""

    def each(self, calls: Mapping[int, Callable[[Any], Any]], *, is_act: bool = False) -> dict[int, Any]:
        """Return what calls on many partitions answer, by their numbers, in that order."""


__all__ = ["Health", "asgi", "live", "ready", "wsgi"]

Checked: TypeAlias = "System | Client | ClusterFront"
TIMEOUT_S = 2.0


@attrs.frozen
class Health:
    """The outcome of a check. True in a condition if all is well."""

    ok: bool
    reasons: tuple[str, ...] = ()
    """What is wrong, one sentence each; empty if nothing is."""

    def __bool__(self) -> bool:
        """Return whether all is well."""
        return self.ok


def live(system: Checked) -> Health:
    """Return whether the process can go on as it is: False once the system has given up, so that only a new start helps.

    A system that was not started, or was stopped, is alive. Returns at once. Callable in any thread, also on an event loop.
    """
    failed = None
    if isinstance(system, System):
        try:
            failed = system.runtime.health.failed
        except NotRunning:
            return Health(ok=True)
    return Health(ok=True) if failed is None else Health(ok=False, reasons=(_reason(failed),))


def ready(system: Checked, *, timeout: float = TIMEOUT_S) -> Health:
    """Return whether the system takes messages now: it runs, its queue answers, the disk takes what it writes, there is room.

    Of a `Cluster`, each partition must, whatever process owns it. Waits for each queue, `timeout` seconds at most; on an event loop
    call it with `asyncio.to_thread`.
    """
    dead = live(system)
    if not dead:
        return dead
    if isinstance(system, ClusterFront):
        return _all_ready(system, timeout)
    if isinstance(system, System) and not system.running:
        return Health(ok=False, reasons=("the system does not run: it was not started, or is being stopped",))
    try:
        report: QueueReport = system.ask("queue", Report(), timeout_s=timeout)
    except (PerdureError, TimeoutError) as error:
        return Health(ok=False, reasons=(_reason(error),))
    reasons = []
    waiting = sum(counts.ready + counts.delayed + counts.held for counts in report.by_type.values())
    if waiting >= system.options.backlog_max:
        reasons.append(f"the backlog is full: {waiting:,} messages wait, of `Options.backlog_max` {system.options.backlog_max:,}")
    if report.payload_bytes >= system.options.backlog_bytes:
        reasons.append(f"the backlog is full: {report.payload_bytes:,} bytes wait, of {system.options.backlog_bytes:,}")
    return Health(ok=not reasons, reasons=tuple(reasons))


def _all_ready(cluster: ClusterFront, timeout_s: float) -> Health:
    try:
        found: dict[int, Health] = cluster.each(dict.fromkeys(range(cluster.count), partial(ready, timeout=timeout_s)))
    except (PerdureError, TimeoutError):  # as where it does not run: what each of them says
        found = {number: _one_ready(cluster, number, timeout_s) for number in range(cluster.count)}
    reasons = tuple(f"partition {number}: {reason}" for number, one in found.items() for reason in one.reasons)
    return Health(ok=not reasons, reasons=reasons)


def _one_ready(cluster: ClusterFront, number: int, timeout_s: float) -> Health:
    try:
        of_one: Health = cluster.through(number, partial(ready, timeout=timeout_s))
    except (PerdureError, TimeoutError) as error:
        return Health(ok=False, reasons=(_reason(error),))
    return of_one


def _reason(error: BaseException) -> str:
    cause = "" if error.__cause__ is None else f" ({type(error.__cause__).__name__}: {error.__cause__})"
    return f"{type(error).__name__}: {error}{cause}"


def asgi(system: Checked, *, timeout: float = TIMEOUT_S) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an ASGI application of two paths, `/live` and `/ready`: status 200 or 503, and a JSON document with the reasons.

    Mount it: `app.mount("/health", perdure.telemetry.asgi(system))`. The reasons name paths and errors of the host, so it belongs
    where only the operator's tools reach it.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # it is served by itself
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        status, body = await asyncio.to_thread(_answer, system, scope["path"], timeout)
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def wsgi(system: Checked, *, timeout: float = TIMEOUT_S) -> Callable[[Mapping[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return a WSGI application of two paths, as `asgi`: for Flask and Django under gunicorn, say."""

    def application(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, body = _answer(system, environ.get("PATH_INFO", ""), timeout)
        start_response(_STATUS[status], [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [body]

    return application


_STATUS = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}


def _answer(system: Checked, path: str, timeout_s: float) -> tuple[int, bytes]:
    name = path.rstrip("/").rpartition("/")[2]
    if name == "live":
        found = live(system)
    elif name == "ready":
        found = ready(system, timeout=timeout_s)
    else:
        return 404, b'{"paths": ["live", "ready"]}'
    return (200 if found else 503), json.dumps({name: found.ok, "reasons": found.reasons}).encode()
