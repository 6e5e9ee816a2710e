"""The message types and schedules of a scenario, and the settings of their handlers.

What the handlers do is in `handlers`; what is published is in `steps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.payloads.type_names import message

if TYPE_CHECKING:
    from perdure.handling.recurring.schedules import Missed

__all__ = [
    "BACKOFF_S",
    "CROWD_MAX",
    "CROWD_S",
    "DIES",
    "HOWS",
    "LEASE_S",
    "NOTE_POLICY",
    "RATE_PER_S",
    "RETRIES",
    "SCHEDULES",
    "TYPES",
    "Bulk",
    "Crowd",
    "Deed",
    "Manual",
    "Metered",
    "Note",
    "OldDeed",
    "Plain",
    "Task",
]

BACKOFF_S = 2.0
LEASE_S = 30.0
RETRIES = 2
RATE_PER_S = 2.0
NOTE_POLICY: dict[str, Any] = {"dedup": "append", "key_parallelism": 1}
"""What the handler of `Note` has for keys. All others have none."""
CROWD_MAX = 4
CROWD_S = 5.0
DIES = "dies"

HOWS = (
    *("done",) * 3,
    *("fails:1", "fails:2", "fails:9", "retries", "rejected"),
    *("slow:5", "slow:40", "heartbeats:40", "extends:40"),
    *("chained",) * 2,
    *("half", "refusing", "cancels", DIES),
)
"""What a message can ask its handler to do, as often as it is drawn. A number counts attempts or seconds."""

SCHEDULES: dict[str, tuple[Missed, float]] = {
    "scenario.each": ("all", 1_500.0),
    "scenario.latest": ("last", 1_100.0),
    "scenario.punctual": ("none", 1_900.0),
}
"""By name: which missed ticks are made up for, and the seconds between two ticks."""


@message(name="scenario.task")
@attrs.frozen
class Task:
    """Work whose outcome its payload states."""

    number: int
    how: str = "done"


@message(name="scenario.plain")
@attrs.frozen
class Plain:
    """Work of a handler without options, which takes the short paths of workers and queue."""

    number: int
    how: str = "done"


@message(name="scenario.note")
@attrs.frozen
class Note:
    """A message that a task's handler publishes. One message of each key is handled at a time."""

    number: int
    how: str = "done"


@message(name="scenario.manual")
@attrs.frozen
class Manual:
    """Work for manual consumers."""

    number: int
    how: str = "done"


@message(name="scenario.bulk")
@attrs.frozen
class Bulk:
    """Work that is handled in batches."""

    number: int
    how: str = "done"


@message(name="scenario.metered")
@attrs.frozen
class Metered:
    """Work at a limited rate, with one to three workers."""

    number: int
    how: str = "done"


@message(name="scenario.crowd")
@attrs.frozen
class Crowd:
    """Work that takes a while, with one to `CROWD_MAX` workers."""

    number: int
    how: str = "done"


@message(name="scenario.deed", version=2, upcasters={1: lambda fields: {**fields, "made_by": "old code"}})
@attrs.frozen
class Deed:
    """Work that old code knows with fewer fields."""

    number: int
    how: str = "done"
    made_by: str = "new code"


@message(name="scenario.deed")
@attrs.frozen
class OldDeed:
    """The same, as old code has it."""

    number: int
    how: str = "done"


TYPES: dict[str, type[Any]] = {
    "task": Task,
    "plain": Plain,
    "note": Note,
    "manual": Manual,
    "bulk": Bulk,
    "metered": Metered,
    "crowd": Crowd,
    "deed": Deed,
    "old deed": OldDeed,
}
