"""What may cross between an owner and its peers: each command with its actor and the right that it takes, and each answer.

Only tables. How objects become bytes is in `objects`. A number is never given to another class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from perdure.actors.core.messages import AskTicks, Report, TakeSnapshot, WhenIdle
from perdure.actors.queue.queue_report import QueueReport
from perdure.actors.sessions import figures, handover
from perdure.actors.sessions.framing.delivered import Reported
from perdure.actors.sessions.framing.objects import Objects
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.events import acts, commands, vocabulary
from perdure.events.handlers import registry
from perdure.events.queue import dead_letters, lookup, state
from perdure.events.queue.searching import letter_search, live_messages
from perdure.events.structures import bulk, message

__all__ = ["ADMINISTER", "CONSUME", "OBJECTS", "OWNER", "PUBLISH", "RIGHTS", "Route", "route_of"]

PUBLISH = "publish"
CONSUME = "consume"
ADMINISTER = "administer"
RIGHTS = frozenset({PUBLISH, CONSUME, ADMINISTER})
OWNER = "owner"
"""Named instead of an actor: the session itself answers."""


class Route(NamedTuple):
    """Where a command goes, and the right that it takes."""

    right: str
    is_long_wait: bool = False
    """It waits for something that may never happen."""


# Who may publish sees figures, and what its ids lead to. What shows messages of others, or counts by what is in them, takes more.
ROUTES: dict[tuple[str, type], Route] = {
    ("queue", commands.Publish): Route(PUBLISH),
    ("queue", commands.AwaitResult): Route(PUBLISH, is_long_wait=True),
    ("queue", commands.LookUp): Route(PUBLISH),
    ("queue", commands.Cancel): Route(PUBLISH),
    ("queue", WhenIdle): Route(PUBLISH, is_long_wait=True),
    ("queue", Report): Route(PUBLISH),
    ("queue", commands.CheckOut): Route(CONSUME),
    ("queue", commands.Done): Route(CONSUME),
    ("queue", commands.Fail): Route(CONSUME),
    ("queue", commands.Release): Route(CONSUME),
    ("queue", commands.Extend): Route(CONSUME),
    ("queue", commands.Tick): Route(CONSUME),
    ("queue", AskTicks): Route(CONSUME),
    ("queue", Reported): Route(CONSUME),
    ("queue", commands.Replay): Route(ADMINISTER),
    ("queue", commands.Purge): Route(ADMINISTER),
    ("queue", commands.RunNow): Route(ADMINISTER),
    ("queue", commands.BeginBulk): Route(ADMINISTER),
    ("queue", commands.LookAtBulk): Route(ADMINISTER),
    ("queue", live_messages.CountLive): Route(ADMINISTER),
    ("dispatcher", Report): Route(PUBLISH),
    ("dispatcher", registry.Register): Route(CONSUME),
    ("dispatcher", registry.Scale): Route(ADMINISTER),
    ("dispatcher", registry.Configure): Route(ADMINISTER),
    ("dispatcher", registry.Pause): Route(ADMINISTER),
    ("dispatcher", registry.Resume): Route(ADMINISTER),
    ("dispatcher", registry.Note): Route(ADMINISTER),
    ("snapshotter", TakeSnapshot): Route(ADMINISTER),
    ("dead_letters", letter_search.Selection): Route(ADMINISTER),
    ("dead_letters", letter_search.CountLetters): Route(ADMINISTER),
    ("dead_letters", type(None)): Route(PUBLISH),
    (OWNER, figures.AskFigures): Route(PUBLISH),
    (OWNER, handover.HandOver): Route(ADMINISTER),
}
KINDS: dict[int, Any] = {
    32: (commands.Publish, ("drafts", "fresh")),
    33: commands.AwaitResult,
    34: commands.LookUp,
    35: commands.Cancel,
    36: WhenIdle,
    37: Report,
    40: commands.CheckOut,
    41: commands.Done,
    42: commands.Fail,
    43: commands.Release,
    44: commands.Extend,
    45: commands.ExpireLease,
    46: commands.Tick,
    47: AskTicks,
    48: (commands.Replay, ("items", "skips", "act")),
    49: commands.Purge,
    50: registry.Scale,
    51: registry.Configure,
    52: registry.Pause,
    53: registry.Resume,
    54: TakeSnapshot,
    56: letter_search.Selection,
    57: figures.AskFigures,
    63: handover.HandOver,
    58: registry.Note,
    59: registry.Register,
    60: Reported,
    64: commands.Draft,
    65: (commands.DraftRun, ("type", "ids", "payloads")),
    66: commands.Death,
    67: commands.ReplayItem,
    68: acts.Act,
    69: commands.BeginBulk,
    70: commands.LookAtBulk,
    71: letter_search.CountLetters,
    72: (commands.RunNow, ("id", "schedule", "due_us", "act")),
    73: live_messages.CountLive,
    80: vocabulary.Published,
    81: vocabulary.Leased,
    82: vocabulary.ResultKept,
    83: vocabulary.DeadLettered,
    84: vocabulary.FailureNote,
    85: vocabulary.Extras,
    86: vocabulary.HandlerRegistered,
    96: dead_letters.Letter,
    97: letter_search.Stats,
    98: QueueReport,
    99: state.TypeCounts,
    100: lookup.Lookup,
    101: (message.Message, ("published", "number", "rank", "due_us", "until_us", "percent", "note")),
    102: figures.RunFigures,
    103: figures.HandlerFigures,
    105: figures.ProcessFigures,
    108: figures.DeputyFigures,
    106: letter_search.Counted,
    107: bulk.Bulk,
    104: (WorkerDelivery, ("number", "lease", "payload", "record")),
}
_SPACE = {
    **vars(vocabulary),
    **vars(commands),
    **vars(acts),
    **vars(state),
    **vars(message),
    **vars(bulk),
    **vars(lookup),
    **vars(figures),
    **vars(handover),
    **vars(registry),
    "ev": vocabulary,
    "Iterator": Iterator,
    "Sequence": Sequence,
    "LeaseBatch": vocabulary.Leased,  # a consumer's delivery is never one of a batch
}
OBJECTS = Objects(KINDS, _SPACE, later=(commands.Draft, vocabulary.Published))


def route_of(actor: object, command: object) -> Route | None:
    """Return the route of a command to an actor; None where peers may not send it there."""
    return ROUTES.get((actor, command.__class__)) if isinstance(actor, str) else None
