"""Services from a registry: opened and closed once for each attempt, also where it fails or times out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    import svcs


@attrs.frozen
class Job:
    number: int


class Connection:
    opened = 0
    closed = 0

    def __init__(self) -> None:
        Connection.opened += 1


def _connections() -> Any:
    connection = Connection()
    try:
        yield connection
    finally:
        Connection.closed += 1


@pytest.mark.parametrize("kind", ["function", "coroutine", "class"])
def test_services_are_opened_and_closed_once_for_each_message(folder: Path, registry: svcs.Registry, kind: str) -> None:
    """Scenario 22: also on failure."""
    registry.register_factory(Connection, _connections)
    system = perdure.System(folder, registry=registry)
    Connection.opened = Connection.closed = 0

    def check(job: Job, connection: Connection) -> int:
        assert isinstance(connection, Connection)
        if job.number < 0:
            raise LookupError
        return job.number

    if kind == "function":

        @system.handler(Job, retries=0)
        def plain(job: Job, ctx: perdure.Context, connection: Connection) -> int:
            return check(job, connection)

    elif kind == "coroutine":

        @system.handler(Job, retries=0)
        async def coroutine(job: Job, ctx: perdure.Context, connection: Connection) -> int:
            return check(job, connection)

    else:

        @system.handler(Job, retries=0)
        class Charge:
            def __init__(self, connection: Connection) -> None:
                self.connection = connection

            def handle(self, job: Job, ctx: perdure.Context) -> int:
                return check(job, self.connection)

    with system:
        assert system.call(Job(5), timeout=10.0) == 5
        with pytest.raises(LookupError):
            system.call(Job(-1), timeout=10.0)
        system.drain(timeout=10.0)
    assert (Connection.opened, Connection.closed) == (2, 2)


@pytest.mark.parametrize("kind", ["thread", "coroutine"])
def test_services_are_closed_when_a_handler_times_out(folder: Path, registry: svcs.Registry, kind: str) -> None:
    """Scenario 22: each attempt has its own, and the one that was interrupted is closed too."""
    registry.register_factory(Connection, _connections)
    system = perdure.System(folder, registry=registry)
    Connection.opened = Connection.closed = 0

    if kind == "thread":

        @system.handler(Job, retries=1, backoff=0, timeout=1.0)
        def plain(job: Job, ctx: perdure.Context, connection: Connection) -> None:
            while ctx.attempt == 1:
                time.sleep(0.001)

    else:

        @system.handler(Job, retries=1, backoff=0, timeout=1.0)
        async def coroutine(job: Job, ctx: perdure.Context, connection: Connection) -> None:
            if ctx.attempt == 1:
                await asyncio.sleep(60.0)

    with system:
        system.publish(Job(1))
        system.drain(timeout=10.0)
        assert (system.admin.metrics().completed, system.admin.metrics().retried) == (1, 1)
    assert (Connection.opened, Connection.closed) == (2, 2)


def test_service_without_a_registry_is_refused(folder: Path) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match="registry"):

        @system.handler(Job)
        def plain(job: Job, ctx: perdure.Context, connection: Connection) -> None: ...

    with pytest.raises(perdure.InvalidMessage, match="'what'"):

        @system.handler(Job)
        def unknown(job: Job, ctx: perdure.Context, what) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
