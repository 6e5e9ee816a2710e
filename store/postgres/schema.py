"""The tables and functions of perdure in PostgreSQL, their version, and how they come to be there.

Only the functions write. Each checks what it relies on and raises unless all of it holds, so a stale owner changes nothing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors as pg

from perdure.events.errors import StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.postgres.connecting.database import as_ours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.store.postgres.connecting.database import Database

__all__ = ["FUNCTIONS", "TABLES", "VERSION", "check_schema", "create_schema"]

logger = GuardedLogger("perdure.store")

VERSION = 6
TABLES = ("tables.sql", "tables_2.sql", "tables_3.sql", "tables_4.sql", "tables_5.sql", "tables_6.sql")
"""The scripts, in `sql`, that lead to each version from the one before."""
FUNCTIONS = ("functions.sql", "traffic.sql", "cluster.sql", "high_water.sql")
"""Scripts that replace what is there; each version runs all of them. Functions that an older version calls stay."""
SERVER_MIN = 130000
_DROP_FUNCTIONS = """
DO $$ DECLARE f regprocedure; BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'perdure'::regnamespace LOOP
        EXECUTE 'DROP FUNCTION ' || f;
    END LOOP;
END $$
"""
_GRANTS = """
SELECT a.grantee::regrole::text, array_agg(p.proname::text),
       count(*) = (SELECT count(*) FROM pg_proc WHERE pronamespace = 'perdure'::regnamespace)
FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace = 'perdure'::regnamespace AND a.privilege_type = 'EXECUTE'
AND a.grantee NOT IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
GROUP BY 1
"""
"""The roles, as SQL spells them, that may call functions: which, and whether all of them."""
_OWNERS = """
SELECT owner::regrole::text, has_schema_privilege(owner, 'perdure', 'CREATE') FROM (
    SELECT proowner AS owner FROM pg_proc WHERE pronamespace = 'perdure'::regnamespace
    UNION SELECT relowner FROM pg_class WHERE relnamespace = 'perdure'::regnamespace
) made
"""
"""The roles, as SQL spells them, that own the tables and functions, and whether each may make more."""
_NAMES = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'perdure'::regnamespace"
_LOCK = 0x70647265_66736368
"""The advisory lock of those that create the tables at the same time."""


def found_version(connection: psycopg.Connection[Any]) -> int | None:
    """Return the version of the tables that are there; None for none.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    try:
        row = connection.execute("SELECT max(version) FROM perdure.version").fetchone()
    except (pg.UndefinedTable, pg.InvalidSchemaName):
        return None
    except psycopg.Error as error:
        raise as_ours(error, "read") from error
    return None if row is None else row[0]


def check_schema(connection: psycopg.Connection[Any], *, oldest: int = VERSION) -> bool:
    """Return whether the tables of this version are there, or of one from `oldest` on, which is enough to read.

    Raises:
        StoreUnavailable: they are of a newer version, or the server is too old.
    """
    if connection.info.server_version < SERVER_MIN:
        raise StoreUnavailable(
            f"the server is PostgreSQL {connection.info.server_version // 10000}; perdure needs {SERVER_MIN // 10000} or newer"
        )
    version = found_version(connection)
    if version is not None and version > VERSION:
        raise StoreUnavailable(
            f"the tables in this database are of version {version}, and this perdure knows {VERSION}: a newer one made them. "
            "Update perdure here; nothing was changed."
        )
    return version is not None and version >= oldest


def create_schema(database: Database) -> bool:
    """Create the tables and functions, or bring them up to date; return whether anything was done. Safe beside other processes.

    Raises:
        StoreUnavailable: the role may not, the server is too old, or the tables are of a newer version.
    """
    with database.session() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if check_schema_within(connection):
            return False
        found = found_version_within(connection)
        if found:
            _go_on_as_owner(connection)
        granted = connection.execute(_GRANTS).fetchall() if found else []
        if found:  # their parameters had other names, which cannot be changed in place
            connection.execute(_DROP_FUNCTIONS)
        for script in (*TABLES[found:], *FUNCTIONS):
            connection.execute(_script(script))
        connection.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA perdure FROM PUBLIC")
        _grant_again(connection, granted)
        connection.execute("INSERT INTO perdure.version VALUES (%s)", [VERSION])
    if found:
        logger.info("brought the tables of perdure from version %d to %d in %s", found, VERSION, database.address.text)
    else:
        logger.info("created the tables of perdure, version %d, in %s", VERSION, database.address.text)
    return True


def _go_on_as_owner(connection: psycopg.Connection[Any]) -> None:
    """Go on, until the transaction ends, as the role that owns all that is there: functions run with the rights of their owner.

    Where there are several, each may call what it owned, and functions made anew are the upgrading role's.
    """
    owners = connection.execute(_OWNERS).fetchall()
    if len(owners) == 1 and owners[0][1]:
        connection.execute(f"SET LOCAL ROLE {owners[0][0]}".encode())


def _grant_again(connection: psycopg.Connection[Any], granted: Sequence[tuple[str, Sequence[str], bool]]) -> None:
    """Let roles call what they could call before the functions were made anew, and the new ones too if they could call all."""
    there = {name for (name,) in connection.execute(_NAMES)} if granted else set()
    for role, names, is_all in granted:
        targets = ["ALL FUNCTIONS IN SCHEMA perdure"] if is_all else [f"FUNCTION perdure.{name}" for name in names if name in there]
        for target in targets:
            connection.execute(f"GRANT EXECUTE ON {target} TO {role}".encode())


def check_schema_within(connection: psycopg.Connection[Any]) -> bool:
    """Do as `check_schema`, within a transaction that an error would end."""
    return found_version_within(connection) > 0 and check_schema(connection)


def found_version_within(connection: psycopg.Connection[Any]) -> int:
    """Return the version of the tables that are there, 0 for none, within a transaction that an error would end."""
    row = connection.execute("SELECT to_regclass('perdure.version') IS NOT NULL").fetchone()
    return (found_version(connection) or 0) if row and row[0] else 0


def _script(name: str) -> bytes:
    return files("perdure.store.postgres").joinpath("sql", name).read_bytes()
