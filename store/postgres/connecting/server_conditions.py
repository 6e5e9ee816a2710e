"""The conditions of a database as the place of a log: its settings for durability, its standbys, room for connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from perdure.store.conditions import Condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from perdure.store.postgres.connecting.database import Database

__all__ = ["judged_settings", "server_conditions", "unsafe_standbys"]

VERSION_MIN = 140_000
CLOCK_S = 5.0
CONNECTIONS_PART = 0.9
_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name IN
    ('server_version_num', 'fsync', 'synchronous_commit', 'full_page_writes', 'synchronous_standby_names', 'max_connections')
"""
_NOW = """
SELECT extract(epoch FROM clock_timestamp())::float8, pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_activity),
       (SELECT count(*) FROM pg_stat_replication), (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))
"""


def unsafe_standbys(connection: psycopg.Connection[Any]) -> int:
    """Return how many standbys there are, if none of them is certain to have what is acknowledged; else 0.

    Raises:
        psycopg.Error: the database cannot be asked.
    """
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_replication WHERE current_setting('synchronous_standby_names') = '' "
        "OR current_setting('synchronous_commit') = 'local'"
    ).fetchone()
    return 0 if row is None else int(row[0])


def server_conditions(database: Database) -> Iterator[Condition]:
    """Yield what is found.

    Raises:
        StoreUnavailable: the database cannot be asked.
    """
    with database.session() as connection:
        settings = dict(connection.execute(_SETTINGS).fetchall())
        row = connection.execute(_NOW).fetchone()
        here_s = time.time()
    now_s, is_standby, used, standbys, synchronous = row or (here_s, False, 0, 0, 0)
    yield from judged_settings(settings, standbys=standbys, synchronous=synchronous)
    if is_standby:
        yield Condition("server", "problem", "this is a standby, which only reads", "name the primary server")
    if abs(now_s - here_s) > CLOCK_S:
        what = f"the server's clock and this machine's differ by {abs(now_s - here_s):,.0f} s"
        yield Condition("clock", "problem", what, "set both by NTP: due times are this machine's, leases the server's")
    else:
        yield Condition("clock", "ok", "the server's clock agrees with this machine's")
    most = int(settings.get("max_connections", 100))
    level = "note" if used > most * CONNECTIONS_PART else "ok"
    advice = "raise max_connections, or put a pooler in session mode between" if level == "note" else ""
    yield Condition("connections", "note" if level == "note" else "ok", f"{used} of {most} connections are used", advice)


def judged_settings(settings: Mapping[str, str], *, standbys: int, synchronous: int) -> Iterator[Condition]:
    """Yield what these settings of a server mean."""
    version = int(settings.get("server_version_num", 0))
    text = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    is_old = version < VERSION_MIN
    yield Condition("server", "problem" if is_old else "ok", text, "use version 14 or newer" if is_old else "")
    for name, loss in (("fsync", "a power cut can destroy the database"), ("full_page_writes", "a power cut can tear pages")):
        if settings.get(name) == "off":
            yield Condition(name, "problem", f"{name} is off: {loss}", f"ALTER SYSTEM SET {name} = on")
    commit = settings.get("synchronous_commit", "on")
    if commit == "off":
        what = "synchronous_commit is off for this role: what was acknowledged can be lost in a crash of the server"
        yield Condition("synchronous_commit", "problem", what, "ALTER ROLE ... SET synchronous_commit = on")
    else:
        yield Condition("synchronous_commit", "ok", f"synchronous_commit is {commit}")
    named = settings.get("synchronous_standby_names", "")
    if named and not synchronous:
        what = f"synchronous_standby_names is {named!r}, and no such standby is connected: commits wait for one"
        yield Condition("standbys", "problem", what, "bring the standby back, or change the setting")
    elif not standbys:
        yield Condition("standbys", "note", "no standby is connected", "the loss of this server's disk loses what no backup has")
    elif not synchronous or commit == "local":
        what = f"{standbys} standby(s), none of them synchronous: a failover loses what was acknowledged last"
        advice = "set synchronous_standby_names, unless a failover may lose that"
        yield Condition("standbys", "problem", what, advice)
    else:
        yield Condition("standbys", "ok", f"{standbys} standby(s), {synchronous} of them synchronous")
