"""The client of a queue with several partitions: what `connect` returns where a `Cluster` ran. It owns none of them.

Each request goes to its partition (`routed`), through a `Client` of that partition (`partition_access`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.actors.core.clock import SystemClock
from perdure.cluster.cluster import Cluster
from perdure.cluster.cluster_audit import ClusterAudit
from perdure.cluster.placed import Placed
from perdure.cluster.sums import ClusterAdmin, ClusterDeadLetters
from perdure.events.errors import NotRunning, StoreUnavailable
from perdure.events.seconds import checked_seconds
from perdure.options import Options
from perdure.processes.client import Client
from perdure.store.postgres.connecting.postgres_address import PostgresAddress

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import TracebackType
    from typing import Self

    from perdure.middleware import Middleware
    from perdure.payloads.codecs import Codec
    from perdure.publishing.confirming import Confirm

__all__ = ["ClusterClient"]


class ClusterClient(Placed, Client):
    """A `Client` of all partitions of a queue. Its methods may be called in any thread, and in coroutines.

    Args:
        address: the database, and the queue behind a `#` unless `name` is given.
        name: the queue.
        partitions: how many the queue has on record.
        timeout: seconds that each call waits for an owner, and for a sign of life of the owner that has the request.
        codec: the owners', where that is not `MessagePack()`.
        middleware: called around every publish.
        confirm: as `connect`.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """

    def __init__(  # its parts are the cluster's, not those of a client of one partition
        self,
        address: str,
        name: str | None,
        partitions: int,
        *,
        timeout: float,
        codec: Codec | None,
        middleware: Sequence[Middleware],
        confirm: Confirm = "database",
    ) -> None:
        self._wait_for_answers_s = checked_seconds("timeout", timeout, above_zero=True)
        parsed = PostgresAddress.parse(address)
        queue = name or parsed.name
        if queue is None:
            raise StoreUnavailable("which queue? Pass name=, or write postgresql://USER@HOST/DATABASE#QUEUE")
        self._cluster = cluster = Cluster(
            attrs.evolve(parsed, name=None).dsn,
            name=queue,
            partitions=partitions,
            options=Options(publish_timeout_s=self._wait_for_answers_s),
            ownership="never",
            codec=codec,
            middleware=middleware,
            confirm=confirm,
        )
        self._take_parts_of(cluster)
        cluster.start()

    def _take_parts_of(self, cluster: Cluster) -> None:
        self.name, self.count, self.options, self.clock = cluster.name, cluster.count, cluster.options, SystemClock()
        self.drafts, self._checked_out_types = cluster.drafts, {}
        self._stand_on(cluster.inner)
        self.inner = self._inner_calls()
        self.dead_letters = ClusterDeadLetters(self)  # type: ignore[assignment] # the same calls, over all partitions
        self.admin = ClusterAdmin(self)  # type: ignore[assignment] # as above
        self._audit = ClusterAudit(self, self.permit)

    @property
    def audit(self) -> ClusterAudit:  # type: ignore[override] # the same calls, over all partitions
        """Reads the logs of all partitions, without asking their owners."""
        return self._audit

    def __repr__(self) -> str:
        """Show the database and the queue, without a password, and whether it is open."""
        where = PostgresAddress(self._database.parameters, self.name).text
        return f"<perdure.Client of {where}, {'open' if self._cluster.running else 'closed'}>"

    # --- life --------------------------------------------------------------------------------------------------------------

    def close(self, timeout: float | None = None) -> None:
        """Disconnect from all partitions. Later calls raise NotRunning. A second `close` does nothing."""
        wait_s = self._wait_for_answers_s if timeout is None else checked_seconds("timeout", timeout)
        if not self._why_closed:
            self._why_closed = "the client takes no messages: it was closed. Connect again with `perdure.connect(...)`"
            self._cluster.stop(wait_s)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close; see `close`."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the client. Its first call looks for an owner."""
        return self

    def begin_anew(self) -> None:
        """Do nothing in a forked child: the cluster goes on there, and the clients of its partitions connect anew."""

    # --- what the parts of the front door need ---------------------------------------------------------------------------------

    def _check_running(self) -> None:
        if self._why_closed:
            raise NotRunning(self._why_closed)
        if not self._cluster.running:
            raise NotRunning("the client takes no messages: this process was forked while it was closed. Connect here")

    async def _ready(self) -> None:
        self._check_running()

    @property
    def _handled(self) -> Collection[str]:
        return self._access.at(0).inner.handled()

    def _retries_of(self, type_name: str) -> int:
        return self._access.at(0).inner.retries_of(type_name)
