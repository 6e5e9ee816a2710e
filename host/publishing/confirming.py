"""The option `confirm` of those that publish through a database: what a publish waits for, the database or the owner.

What waits for it is in `perdure.processes`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from perdure.arguments.choices import check_one_of
from perdure.events.errors import InvalidMessage

__all__ = ["Confirm", "check_confirm"]

Confirm: TypeAlias = Literal["database", "owner"]
"""`database`: a publish returns once its row is there. `owner`: once the owner has it on record, or refuses."""


def check_confirm(confirm: Confirm, *, spools: bool = False) -> None:
    """Raise unless it is one of the two, and goes with a spool where there is one.

    Raises:
        InvalidMessage: it is neither, or publishes are to be spooled while there is no owner.
    """
    check_one_of("confirm", confirm, get_args(Confirm))
    if confirm == "owner" and spools:
        raise InvalidMessage("confirm: with spool=True a publish waits for no owner; leave one of the two out")
