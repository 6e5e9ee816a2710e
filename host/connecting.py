"""`connect`: the client of whatever owns a folder, or a queue in a database.

What a client does is in `processes/client`, and for a queue of several partitions in `cluster/cluster_client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.parts import check_folder
from perdure.events.keyword_options import tells_misspelt
from perdure.events.processes.log_reading import OWNER_WAIT_S
from perdure.events.public_names import public
from perdure.processes.client import Client
from perdure.publishing.confirming import check_confirm
from perdure.runtime.process.starting_apart import running_loop
from perdure.store import is_postgres
from perdure.store.addresses import partitions_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from perdure.middleware import Middleware
    from perdure.payloads.codecs import Codec
    from perdure.publishing.confirming import Confirm

__all__ = ["connect"]


@public
@tells_misspelt("connect")
def connect(
    address: str | Path,
    *,
    timeout: float = OWNER_WAIT_S,
    name: str | None = None,
    partition: int | None = None,
    codec: Codec | None = None,
    spool: bool = False,
    middleware: Sequence[Middleware] = (),
    confirm: Confirm = "database",
) -> Client:
    """Return a client of the process that owns a folder: a `System(folder, shared=True)` on this machine.

    Waits for the owner, unless an event loop runs in this thread: there the first call waits, without blocking it.

    Args:
        address: the owner's data folder; or `postgresql://…`, from any host. Then a publish needs no owner: the next one takes it
            in, once. All else is asked of the owner through the database. `name` is the queue, unless it stands behind a `#`.
        timeout: seconds that this and every later call wait for an owner, and for a sign of life of the one that has the request.
            A call may have a time of its own besides (as `call` and `result`), and a publish waits for room as in the owner.
            Unless it is given, an owner that tells how it gets on with reading its log is waited for as long as it does.
        name: what the owner's log calls this process; the program's name and pid unless given. With a database: the queue.
        partition: the number of one partition of a queue in a database, unless it stands in the address. Without one the client
            is of the whole queue: each request goes to the partition that it belongs to, as from a process with a `Cluster`.
        codec: the owner's, where that is not `MessagePack()`.
        spool: publish also while there is no owner, or one that is stopped. The message is synced to a file of this process in the
            folder. The next owner takes it in, once, before its handlers start. What that refuses (the key is held, say) becomes
            a dead letter with the reason. All other calls wait for an owner, as without `spool`.
        middleware: parts round every publish of this client, outermost first; see `Middleware`. Their `handle` is not called.
        confirm: of a queue in a database. `"database"`: a publish returns once its row is there, and what the owner refuses later
            becomes a dead letter. `"owner"`: it waits for the owner, and raises the owner's refusals (DuplicateKey, QueueFull), as
            it always does with a folder.

    Raises:
        NotRunning: nothing listens there; says what to do. Not with `spool`.
        StoreUnavailable: the database cannot be reached, or holds no such queue.
        InvalidMessage: the timeout is no number above 0.
    """
    check_folder(address, "address")
    if partition is None and is_postgres(address) and (count := partitions_of(address, name)) > 1:
        from perdure.cluster.cluster_client import ClusterClient  # noqa: PLC0415 - needs psycopg

        check_confirm(confirm, spools=spool)
        return ClusterClient(address, name, count, timeout=timeout, codec=codec, middleware=middleware, confirm=confirm)
    client = Client(
        address,
        timeout=timeout,
        name=name,
        partition=partition,
        codec=codec,
        spool=spool,
        middleware=middleware,
        confirm=confirm,
    )
    if running_loop() is None:  # which a wait for an owner would block
        try:
            client.inner.check_running()
        except BaseException:
            client.close(0.0)
            raise
    return client
