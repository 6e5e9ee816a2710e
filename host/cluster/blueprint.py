"""The parts of each partition's System, and of the client of a partition that another process owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

import attrs

from perdure.actors.workers.gates.gate import Gates, RunGate
from perdure.cluster.across.children import Children
from perdure.options import Options
from perdure.processes.client import Client
from perdure.security.rights import Rights, asked_to_send
from perdure.store.postgres.nodes import Leases  # noqa: TC001 - attrs evaluates the annotation
from perdure.store.postgres.postgres_store import PostgresStore
from perdure.system import System

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    import svcs

    from perdure.actors.core.clock import Clock
    from perdure.cluster.routing import PartitionIds
    from perdure.events.commands import Draft
    from perdure.payloads.codecs import Codec
    from perdure.publishing.confirming import Confirm
    from perdure.publishing.drafts import Drafts
    from perdure.security.rights import Authorize
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["Blueprint"]


@attrs.define(eq=False, kw_only=True)
class Blueprint:
    """The parts of a cluster that each of its partitions is made of."""

    database: PostgresAddress
    name: str
    ids: list[PartitionIds]
    """By partition."""
    leases: Leases
    drafts: Drafts
    clock: Clock
    options: Options | None
    config: str | Path | None
    codec: Codec | None
    registry: svcs.Registry | None
    loop: asyncio.AbstractEventLoop | Literal["own"] | None
    authorize: Authorize | None
    publish: Callable[[list[Draft]], None]
    """Writes drafts to the partitions that they belong to, all or none."""
    confirm: Confirm
    """What the publishes of clients wait for: see `Confirm`."""
    gates: Gates = attrs.field(factory=Gates)
    node: str = ""
    """The name of this process's node, while it runs."""
    logs: dict[int, bytes] = attrs.field(factory=dict)
    """By partition, the id of the log that this process has opened since it joined."""
    entered_on: asyncio.AbstractEventLoop | None = None
    """The event loop of the `async with` that started this process's part."""
    loop_of_hooks: asyncio.AbstractEventLoop | None = None
    """The event loop on which the hooks of this process ran; coroutine handlers of all partitions run on it too."""

    @property
    def host_loop(self) -> asyncio.AbstractEventLoop | None:
        """The host's event loop: the one that it gave, else that of its `async with`; None if it has neither."""
        return self.entered_on if self.loop is None else None if isinstance(self.loop, str) else self.loop

    def system(self, number: int, instead_of: str) -> System:
        """Return the System of a partition, without handlers; `instead_of` names an owner that has died, or is empty."""
        known = self.drafts.options
        store = PostgresStore(
            self.database.dsn,
            name=self.name,
            partition=number,
            lease=self.leases.seconds,
            snapshots_kept=known.snapshots_kept,
            drop_history=known.history == "drop",
        )
        store.node, store.instead_of, store.kept_by = self.node, instead_of, self.leases.keep
        store.known_logs = self.logs
        resident = known.resident_payload_bytes // len(self.ids)  # the partitions share the memory of the process
        system = System(
            store=store,
            options=attrs.evolve(self.options or Options(), resident_payload_bytes=resident),
            config=self.config,
            codec=self.codec,
            clock=self.clock,
            middleware=self.drafts.middleware,
            registry=self.registry,
            loop=self.loop_of_hooks or self.host_loop or "own",
            authorize=self.authorize,
        )
        children = Children(number, len(self.ids), self.drafts.names, self.publish)
        gate = RunGate(self.gates, lambda: store.has_passed, children)
        system.inner.be_partition(self.drafts, self.ids[number], gate)
        return system

    def client(self, number: int) -> Client:
        """Return a client of a partition, whatever process owns it."""
        timeout_s = self.drafts.options.publish_timeout_s or 1.0
        codec, middleware = self.drafts.codec, self.drafts.middleware
        client = Client(self.address(number), timeout=timeout_s, codec=codec, middleware=middleware, confirm=self.confirm)
        drafts, client.rights = client.drafts, Rights(self.authorize)
        drafts.names, drafts.clock = self.drafts.names, self.clock
        drafts.send = asked_to_send(client.rights, drafts.send, drafts.names.name)
        return client

    def address(self, number: int) -> str:
        """Return the address of a partition's log. It may hold a password."""
        parameters: dict[str, Any] = {**self.database.parameters}
        database = quote(str(parameters.pop("dbname", "")), safe="")
        query = f"?{urlencode({name: str(value) for name, value in parameters.items()}, quote_via=quote)}" if parameters else ""
        return f"postgresql:///{database}{query}#{quote(self.name, safe='')}/{number}"
