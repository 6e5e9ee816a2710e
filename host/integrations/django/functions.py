"""What a Django project calls: `publish` on commit, `outbox` in the transaction, `client` and `system` by the settings.

Which settings there are is in `settings_of`. Connections of handlers are in `connections`.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction
from django.utils.module_loading import import_string

from perdure.connecting import connect
from perdure.integrations.django.connections import CleanConnections
from perdure.options import Options
from perdure.outbox.sql_outbox import Outbox, OutboxRelay
from perdure.store import is_postgres
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perdure.cluster.cluster import Cluster
    from perdure.middleware import Middleware
    from perdure.processes.client import Client

__all__ = ["Settings", "client", "outbox", "publish", "settings_of", "system", "use"]

_used: list[System | Client | Cluster] = []
"""What publishes in the blocks of `use` that are entered, the innermost last."""


@attrs.frozen
class Settings:
    """The setting PERDURE, a dict with these keys in capitals."""

    folder: Any
    """The data folder; or `postgresql://…#QUEUE`, whose worker is one host of a `Cluster`."""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """Of `perdure.Options`, for the worker."""
    middleware: tuple[Middleware, ...] = ()
    """Objects, or dotted names of them."""
    client: Mapping[str, Any] = attrs.field(factory=lambda: {"spool": True})
    """Options of `perdure.connect`, for processes that publish. Unless given, they publish also while no worker runs."""
    outbox: tuple[str, ...] = ()
    """The database aliases whose outbox the worker relays."""
    shared: bool = True
    """Whether other processes reach the worker; those of a database do always."""
    partitions: int = 16
    """Of a queue in a database: as `perdure.Cluster`."""


def settings_of() -> Settings:
    """Return the setting PERDURE, checked.

    Raises:
        ImproperlyConfigured: it is missing, or has a key that there is not.
    """
    given = getattr(settings, "PERDURE", None)
    known = {field.name.upper(): field.name for field in attrs.fields(Settings)}
    if not isinstance(given, dict) or "FOLDER" not in given:
        raise ImproperlyConfigured('PERDURE: set it to a dict with the data folder: PERDURE = {"FOLDER": BASE_DIR / "orders-data"}')
    if unknown := given.keys() - known.keys():
        raise ImproperlyConfigured(f"PERDURE: there is no {min(unknown)!r}; there are: {', '.join(known)}")
    values = {known[name]: value for name, value in given.items()}
    parts = [import_string(part) if isinstance(part, str) else part for part in values.get("middleware", ())]
    return Settings(**{**values, "middleware": tuple(parts), "outbox": tuple(values.get("outbox", ()))})


@cache
def system() -> System | Cluster:
    """Return the System of the settings, the same at each call, with the handlers of all apps and a relay for each outbox.

    Where the settings have a database it is a Cluster. It is not started: `manage.py perdure` does that.

    Raises:
        ImproperlyConfigured: the address of the database names no queue.
    """
    found = settings_of()
    options, middleware = Options(**found.options), [CleanConnections(), *found.middleware]
    made: System | Cluster
    if is_postgres(found.folder):
        made = _cluster(found, options, middleware)
    else:
        made = System(found.folder, shared=found.shared, options=options, middleware=middleware)
    made.include(import_module("perdure.integrations.django").handlers)
    for alias in found.outbox:
        made.include(OutboxRelay(made, partial(connections.create_connection, alias)))
    return made


def _cluster(found: Settings, options: Options, middleware: list[Middleware]) -> Cluster:
    from perdure.cluster.cluster import Cluster  # noqa: PLC0415 - needs psycopg, which few have
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress  # noqa: PLC0415 - as above

    address = PostgresAddress.parse(found.folder)
    if address.name is None or address.partition is not None:
        raise ImproperlyConfigured("PERDURE: name the queue, and no partition of it: postgresql://USER@HOST/DATABASE#QUEUE")
    dsn = attrs.evolve(address, name=None).dsn
    return Cluster(dsn, name=address.name, partitions=found.partitions, options=options, middleware=middleware)


@cache
def client() -> Client:
    """Return the client of the settings; one for each process, which survives a fork."""
    found = settings_of()
    return connect(found.folder, middleware=found.middleware, **found.client)


@contextmanager
def use(queue: System | Client | Cluster) -> Iterator[None]:
    """Publish to another system within a block, in all threads: to a `perdure.chaos.SimulatedSystem` in a test."""
    _used.append(queue)
    try:
        yield
    finally:
        _used.remove(queue)


def _queue() -> System | Client | Cluster:
    """Return what publishes here: the worker's System in its own process, a client anywhere else."""
    if _used:
        return _used[-1]
    if system.cache_info().currsize and (made := system()).running:
        return made
    return client()


def publish(message: Any, *, using: str | None = None, **options: Any) -> str:
    """Publish a message once the current transaction has committed, and never after a rollback; at once without a transaction.

    Returns the id at once. The message and its options are checked at once too, so that what is wrong with them rolls back the
    transaction. A process that dies between the commit and the publish publishes nothing: where both must go together, use
    `outbox`.

    Args:
        message: an object of a message class.
        using: the alias of the database whose transaction counts; the default one unless given.
        options: those of `System.publish`.

    Raises:
        InvalidMessage and its subclasses: as `System.publish`. Whatever else that raises is raised after the commit.
    """
    queue = _queue()
    ident: str = options.setdefault("id", queue.drafts.ids.one())
    queue.drafts.make(message, **options)
    transaction.on_commit(lambda: _queue().publish(message, **options), using=using)
    return ident


def outbox(using: str = "default") -> Outbox:
    """Return the outbox on the ORM's own connection; call it inside `transaction.atomic()`. `outbox().publish(message)`.

    `manage.py migrate` makes its table. The worker relays the aliases in `PERDURE["OUTBOX"]`.
    """
    return Outbox(connections[using], middleware=settings_of().middleware)
