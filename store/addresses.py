"""The one place that turns an address, as a caller names a log, into a reader or an empty target.

An address is the path of a data folder, or `postgresql://…#QUEUE/PARTITION`. Opening one as its owner is a store's.
What needs psycopg is imported by the functions that need it: few hosts have it installed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from perdure.events.errors import StoreUnavailable
from perdure.store.backup.folder import BackupFolder
from perdure.store.backup.reader import BackupReader
from perdure.store.files.folder_copy import FolderCopy
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.listing.folder_marks import BACKUP_FILE
from perdure.store.files.segment_store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store.other_processes import Channel, Ingress
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.high_water import Accepted
    from perdure.store.postgres.postgres_copy import Discarded
    from perdure.store.protocol import EventStore, LogReader, LogTarget
    from perdure.store.values import PartitionOwner

__all__ = [
    "accept_loss",
    "canonical_address",
    "check_is_address",
    "checked_address",
    "create_tables",
    "discard_copies",
    "is_postgres",
    "open_backup",
    "open_ingress",
    "open_reader",
    "open_store",
    "open_target",
    "partition_addresses",
    "partition_owners",
    "partitions_of",
    "register_queue",
]


_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_KEYWORDS = re.compile(r"(?:^|\s)(?:host|hostaddr|user|dbname|password|service)\s*=")


def open_reader(address: str | os.PathLike[str]) -> LogReader:
    """Return a reader of the log at an address. Nothing is read yet: `check_readable` raises where there is no log.

    Raises:
        StoreUnavailable: it is the address of something else.
    """
    if is_postgres(address):
        from perdure.store.postgres.postgres_reader import PostgresReader

        return PostgresReader(_parsed(address))
    check_is_address(address)
    try:
        is_backup = (Path(address) / BACKUP_FILE).exists()
    except OSError:  # the folder cannot be searched, which its reader says of the folder
        is_backup = False
    return BackupReader(address) if is_backup else FolderReader(address)


def open_backup(address: str | os.PathLike[str]) -> BackupFolder:
    """Return a folder that takes backups. Nothing is read or written yet.

    Raises:
        StoreUnavailable: this is the address of a database, which takes none, or of something else.
    """
    if is_postgres(address):
        raise StoreUnavailable(f"{_parsed(address).text}: a backup is a folder of files; name a folder for it")
    check_is_address(address)
    return BackupFolder(address)


def open_target(address: str | os.PathLike[str]) -> LogTarget:
    """Return an empty place for a copy of a log. Nothing is written yet: `check_empty` raises where it is taken.

    Raises:
        StoreUnavailable: it is the address of something else.
    """
    if is_postgres(address):
        from perdure.store.postgres.postgres_copy import PostgresCopy

        return PostgresCopy(_parsed(address))
    check_is_address(address)
    return FolderCopy(address)


def open_store(address: str | os.PathLike[str]) -> EventStore:
    """Return the store at the address of a log that is there. It is not opened yet.

    Raises:
        StoreUnavailable: there is no log, or it cannot be read.
    """
    reader = open_reader(address)
    reader.check_readable()
    if not is_postgres(address):
        return SegmentStore(os.fspath(address))
    from perdure.store.postgres.postgres_reader import PostgresReader
    from perdure.store.postgres.postgres_store import PostgresStore

    parsed, found = _parsed(address), PostgresReader(_parsed(address)).partition()
    return PostgresStore(parsed.dsn, name=found.queue, partition=found.number)


def open_ingress(address: str, queue: str | None, partition: int | None = None) -> tuple[Ingress, Callable[[], Channel], str]:
    """Return the ingress of a queue in a database, a function that connects to its owner, and its address without a password.

    The function raises ConnectionRefusedError where no process owns it, and ConnectionError where the database cannot be reached.

    Raises:
        StoreUnavailable: the address names no queue, or the database cannot be reached, or holds no tables.
    """
    parsed = _parsed(address)
    name = queue or parsed.name
    if name is None:
        raise StoreUnavailable("which queue? Pass name=, or write postgresql://USER@HOST/DATABASE#QUEUE")
    from perdure.store.postgres.traffic.channels import ChannelEnd
    from perdure.store.postgres.traffic.ingress import Ingress as PostgresIngress

    of = parsed.at(name, (parsed.partition or 0) if partition is None else partition)
    ingress = PostgresIngress(of)
    ingress.check()
    return ingress, lambda: ChannelEnd(of), of.text


def partitions_of(address: str, queue: str | None) -> int:
    """Return how many partitions a queue in a database has; 1 where the address names one of them, or a Cluster never ran.

    Raises:
        StoreUnavailable: the database cannot be reached, or holds no tables.
    """
    parsed = _parsed(address)
    name = queue or parsed.name
    if name is None or parsed.partition is not None:
        return 1
    from perdure.store.postgres.nodes import partitions_on_record

    return partitions_on_record(parsed, name)


def partition_addresses(address: str) -> dict[int, str]:
    """Return the address of each partition of a queue, by its number; empty where the address names one log, of whatever kind.

    Raises:
        StoreUnavailable: as `partitions_of`.
    """
    count = partitions_of(address, None) if is_postgres(address) else 1
    parsed = None if count == 1 else _parsed(address)
    return {} if parsed is None else {number: parsed.at(str(parsed.name), number).text for number in range(count)}


def partition_owners(address: str) -> list[PartitionOwner]:
    """Return all partitions of the queue that holds a log, with the owner of each; empty for a log that is not in a database.

    Raises:
        StoreUnavailable: the database cannot be reached, or holds no such log.
    """
    if not is_postgres(address):
        return []
    from perdure.store.postgres.nodes import owners_on_record

    return owners_on_record(_parsed(address))


def accept_loss(address: str | os.PathLike[str]) -> list[Accepted]:
    """Accept that the log at an address, or logs of a queue, lost events known to be durable: each goes on from its end.

    Returns, for each partition, what is given up.

    Raises:
        StoreUnavailable: this is no address of a queue in a database; or it cannot be reached, or holds no such log.
    """
    if not is_postgres(address) or _parsed(address).name is None:
        raise StoreUnavailable("the address names no queue in a database; write postgresql://USER@HOST/DATABASE#QUEUE")
    from perdure.store.postgres.high_water import accept

    parsed = _parsed(address)
    return accept(parsed, [*partition_addresses(address)] or [parsed.partition or 0])


def discard_copies(address: str | os.PathLike[str]) -> Discarded:
    """Remove the copies that a restore, repair or migration has begun in a queue, or one of its partitions, and not finished.

    Raises:
        StoreUnavailable: this is no address of a queue in a database; or it cannot be reached, or holds no tables.
    """
    if not is_postgres(address) or _parsed(address).name is None:
        raise StoreUnavailable(
            "the address names no queue in a database; write postgresql://USER@HOST/DATABASE#QUEUE. An unfinished copy in a folder "
            "is removed with the folder"
        )
    from perdure.store.postgres.postgres_copy import discard_copies as discard

    return discard(_parsed(address))


def register_queue(address: str, partitions: int, routing: str) -> list[str]:
    """Put on record how many partitions a queue in a database has; return the address of each.

    Raises:
        StoreUnavailable: the address names no queue, or one partition of it; or the queue has another number of them.
    """
    parsed = _parsed(address)
    if parsed.name is None or parsed.partition is not None:
        raise StoreUnavailable(f"these are the logs of {partitions} partitions: name a queue for them, postgresql://…#QUEUE")
    from perdure.store.postgres.nodes import Leases, NodeSession

    session = NodeSession(parsed, parsed.name, "", "", Leases(0.0))
    try:
        count, how, beyond = session.register_queue(partitions, routing)
    finally:
        session.close()
    if (count, how, beyond) != (partitions, routing, None):
        raise StoreUnavailable(f"{parsed.text} is a queue of {count} partitions already, not of {partitions}; name another one")
    return [parsed.at(parsed.name, number).text for number in range(partitions)]


def create_tables(address: str | os.PathLike[str]) -> bool:
    """Create the tables of a database, or bring them up to date; return whether anything was done.

    Raises:
        StoreUnavailable: this is no address of a database, or the role may not.
    """
    if not is_postgres(address):
        raise StoreUnavailable("this is no address of a database; write postgresql://USER@HOST/DATABASE")
    parsed = _parsed(address)
    from perdure.store.postgres.connecting.database import Database
    from perdure.store.postgres.schema import create_schema

    return create_schema(Database(parsed))


def checked_address(address: str) -> str:
    """Return an address from a command line, which every user of the machine can read.

    Raises:
        StoreUnavailable: it holds a password, or is empty.
    """
    if not address:  # a variable of a shell that is not set; as a path it would mean the working directory
        raise StoreUnavailable("an empty text is no address; name the folder that a System was given")
    check_is_address(address)
    if is_postgres(address) and _parsed(address).has_password:
        raise StoreUnavailable(
            "an address on a command line must not hold a password, because other users can read it there: set PGPASSWORD, or use "
            "the password file ~/.pgpass"
        )
    return address


def canonical_address(address: str | os.PathLike[str]) -> str:
    """Return one text for all addresses of the same log: a folder's path with links resolved, a database without a password."""
    return _parsed(address).text if is_postgres(address) else os.path.realpath(address)


def is_postgres(address: str | os.PathLike[str]) -> TypeGuard[str]:
    """Return whether an address names a log in PostgreSQL."""
    return isinstance(address, str) and address.startswith(("postgresql://", "postgres://"))


def check_is_address(address: str | os.PathLike[str]) -> None:
    """Refuse what names a database in another way: it would be taken for a folder, and made or shown with its password.

    Raises:
        StoreUnavailable: the address is a keyword/value string of libpq, or a URL of another kind (`postgresql+psycopg://`).
    """
    text = os.fspath(address)
    if _KEYWORDS.search(text):
        raise StoreUnavailable("this is a connection string of libpq and no folder; write it as postgresql://USER@HOST/DATABASE")
    if _URL.match(text) and not is_postgres(text):
        raise StoreUnavailable(
            "this is a URL of a kind that perdure does not know, and no folder; a queue in a database is "
            "postgresql://USER@HOST/DATABASE#QUEUE"
        )


def _parsed(address: str) -> PostgresAddress:
    try:
        from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    except ImportError as error:
        raise StoreUnavailable("a log in PostgreSQL needs psycopg: pip install 'perdure[postgres]'") from error
    return PostgresAddress.parse(address)
