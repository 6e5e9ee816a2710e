"""The events that the log may hold: one class each, with its stable wire tag and its one decider.

- `message_events`: the life of a message. `act_events`: what operators do. `handler_events`: handlers and their workers.
  `process_events`: processes, and deaths of actors. `event`: what makes a class an event.
- Not here: rules (`queue`, `handlers`) and bytes (`codec`).

Other modules import events from here. Times are integer microseconds since the Unix epoch (`_us`); 0 means "none". Events name
a message by its `number`. The queue counts numbers up from 1 and gives none twice; `Published` ties a number to the id that users
see.
"""

from __future__ import annotations

from perdure.events.vocabulary.act_events import (
    BulkAdvanced,
    BulkBegun,
    BulkEnded,
    BulkPlan,
    HandlersAdministered,
    MessagesAdministered,
)
from perdure.events.vocabulary.event import VOCABULARY, Event, evolved, fields_of
from perdure.events.vocabulary.handler_events import (
    Adapted,
    HandlerRegistered,
    Paused,
    Reconfigured,
    Resumed,
    Scaled,
)
from perdure.events.vocabulary.message_events import (
    AttemptFailed,
    Awakened,
    Cancelled,
    Completed,
    DeadLettered,
    Expired,
    Extras,
    FailureNote,
    KeyFreed,
    KeyHeld,
    LateResultRefused,
    Leased,
    LeaseExpired,
    LeaseExtended,
    Paced,
    Progressed,
    Published,
    Purged,
    Replayed,
    ResultDropped,
    ResultKept,
    Returned,
    Superseded,
    Ticked,
)
from perdure.events.vocabulary.process_events import (
    ActorRestarted,
    ProcessJoined,
    ProcessLeft,
    Started,
    Stopped,
)

__all__ = [
    "VOCABULARY",
    "ActorRestarted",
    "Adapted",
    "AttemptFailed",
    "Awakened",
    "BulkAdvanced",
    "BulkBegun",
    "BulkEnded",
    "BulkPlan",
    "Cancelled",
    "Completed",
    "DeadLettered",
    "Event",
    "Expired",
    "Extras",
    "FailureNote",
    "HandlerRegistered",
    "HandlersAdministered",
    "KeyFreed",
    "KeyHeld",
    "LateResultRefused",
    "LeaseExpired",
    "LeaseExtended",
    "Leased",
    "MessagesAdministered",
    "Paced",
    "Paused",
    "ProcessJoined",
    "ProcessLeft",
    "Progressed",
    "Published",
    "Purged",
    "Reconfigured",
    "Replayed",
    "ResultDropped",
    "ResultKept",
    "Resumed",
    "Returned",
    "Scaled",
    "Started",
    "Stopped",
    "Superseded",
    "Ticked",
    "evolved",
    "fields_of",
]
