"""How a log in PostgreSQL is named: the database, the queue and the number of the partition, as one text without a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import attrs
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from perdure.events.errors import StoreUnavailable
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PostgresAddress"]

NAME_MAX = 200
PARTITIONS_MAX = 1 << 20
_SECRETS = ("password", "sslpassword")


@attrs.frozen
class PostgresAddress:
    """A partition of a queue in a database. `repr`, `str` and comparison leave passwords out."""

    parameters: Mapping[str, Any] = attrs.field(repr=False, eq=False)
    """As libpq takes them, passwords included."""
    name: str | None = None
    """The queue; None: the only one that the database holds."""
    partition: int | None = None
    """Its number; None: the only one of the queue."""
    text: str = attrs.field(init=False)
    """The address from which `open_reader` makes a reader, given the same environment; without any password."""

    @text.default
    def _text(self) -> str:
        shown = {key: str(value) for key, value in self.parameters.items() if key not in (*_SECRETS, "dbname")}
        database = quote(str(self.parameters.get("dbname", "")), safe="")
        query = f"?{urlencode(sorted(shown.items()), quote_via=quote)}" if shown else ""
        return f"postgresql:///{database}{query}{self._fragment()}"

    def _fragment(self) -> str:
        if self.name is None:
            return ""
        return f"#{quote(self.name, safe='')}" + ("" if self.partition is None else f"/{self.partition}")

    @property
    def dsn(self) -> str:
        """What libpq connects with, passwords included."""
        return make_conninfo(**self.parameters)

    @property
    def has_password(self) -> bool:
        """Whether the address itself holds a password."""
        return any(self.parameters.get(key) for key in _SECRETS)

    @classmethod
    def parse(cls, address: str) -> PostgresAddress:
        """Return what an address names: `postgresql://…`, or `key=value` pairs, and behind a `#` the queue and its partition.

        Raises:
            StoreUnavailable: it is no address. The error does not repeat it, because it may hold a password.
            TypeError: it is no text.
        """
        if not isinstance(address, str):
            raise TypeError(f"dsn: the address of a database as text, not a {type(address).__name__}")
        base, _, fragment = address.partition("#") if "://" in address else (address, "", "")
        name, slash, number = fragment.partition("/")
        try:
            parameters = conninfo_to_dict(base)
            if "://" in base:
                urlsplit(base)
            partition = int(number) if slash else None
        except Exception:  # noqa: BLE001 - the error of the driver repeats the address, and with it the password
            raise StoreUnavailable(
                "the address of the database cannot be read; write postgresql://USER@HOST/DATABASE, and behind it #QUEUE/PARTITION"
            ) from None
        return cls(parameters, None if not name else checked_name(unquote(name)), None if partition is None else checked(partition))

    def at(self, name: str, partition: int) -> PostgresAddress:
        """Return the address of a partition of the same database."""
        return PostgresAddress(self.parameters, checked_name(name), checked(partition))


def checked_name(name: str) -> str:
    """Return the name of a queue.

    Raises:
        ValueError: it is empty, too long, or holds control characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
        raise ValueError(f"name: the name of a queue has 1 to {NAME_MAX} printable characters, not {shown(name)}")
    return name


def checked(partition: int) -> int:
    """Return the number of a partition.

    Raises:
        ValueError: it is no number from 0 on.
    """
    if type(partition) is not int or not 0 <= partition < PARTITIONS_MAX:
        raise ValueError(f"partition: a whole number from 0 to {PARTITIONS_MAX - 1:,}, not {shown(partition)}")
    return partition
