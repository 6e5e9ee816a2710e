"""The commands of the queue: one class for each request, and for each outcome that a holder reports.

- `publish_commands`: what is published. `lease_commands`: deliveries, and how they end. `act_commands`: what is done to messages
  and dead letters besides. `questions`: what changes nothing.
- Not here: events (`vocabulary`), and the commands about handlers (`handlers/registry`).

Other modules import commands from here. A command may be refused, and is never stored. Times are integer microseconds. Classes that
every publish creates are msgspec Structs or named tuples, which are created faster than others.
"""

from __future__ import annotations

from perdure.events.commands.act_commands import (
    AdvanceBulk,
    BeginBulk,
    Cancel,
    Death,
    EndBulk,
    Purge,
    Replay,
    ReplayItem,
    RunNow,
)
from perdure.events.commands.lease_commands import (
    CheckOut,
    Done,
    DoneRun,
    ExpireLease,
    Extend,
    Fail,
    Orphan,
    ReassertLease,
    Release,
    Spend,
    Subscription,
)
from perdure.events.commands.publish_commands import (
    Draft,
    DraftRun,
    Publish,
    TakeIn,
    Tick,
)
from perdure.events.commands.questions import (
    AwaitResult,
    LookAtBulk,
    LookUp,
)

__all__ = [
    "AdvanceBulk",
    "AwaitResult",
    "BeginBulk",
    "Cancel",
    "CheckOut",
    "Death",
    "Done",
    "DoneRun",
    "Draft",
    "DraftRun",
    "EndBulk",
    "ExpireLease",
    "Extend",
    "Fail",
    "LookAtBulk",
    "LookUp",
    "Orphan",
    "Publish",
    "Purge",
    "ReassertLease",
    "Release",
    "Replay",
    "ReplayItem",
    "RunNow",
    "Spend",
    "Subscription",
    "TakeIn",
    "Tick",
]
