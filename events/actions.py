"""The actions that rights are about: one table of what a person or a program may be allowed to do, and which presets allow it.

Pure. The front door (`perdure.security`) and the owner's sessions (`actors/sessions/rights`) check these rights.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ACTIONS", "ADMINISTRATOR", "OPERATOR", "PRESETS", "VIEWER", "Action"]

VIEWER = "viewer"
OPERATOR = "operator"
ADMINISTRATOR = "administrator"
PRESETS = (VIEWER, OPERATOR, ADMINISTRATOR)
"""Each allows what those before it allow, and more."""


class Action(NamedTuple):
    """One thing that a right is about."""

    least: str
    """The smallest preset that allows it."""
    meaning: str


ACTIONS: dict[str, Action] = {
    "look": Action(VIEWER, "see counts, states, timelines, dead letters without their payloads, and results by id"),
    "reveal": Action(OPERATOR, "see payloads of messages, as in a list of dead letters"),
    "publish": Action(OPERATOR, "publish messages"),
    "cancel": Action(OPERATOR, "cancel messages that wait or run"),
    "pause": Action(OPERATOR, "stop deliveries"),
    "resume": Action(OPERATOR, "let deliveries go on"),
    "scale": Action(OPERATOR, "set the number of workers"),
    "configure": Action(OPERATOR, "change options of a handler"),
    "run-now": Action(OPERATOR, "run a schedule's tick, or a delayed message, now"),
    "replay": Action(OPERATOR, "return dead letters to the queue"),
    "edit": Action(OPERATOR, "return a dead letter with another payload"),
    "snapshot": Action(OPERATOR, "take a snapshot"),
    "kill": Action(ADMINISTRATOR, "kill an actor, to watch it come back"),
    "purge": Action(ADMINISTRATOR, "remove dead letters for good"),
    "consume": Action(ADMINISTRATOR, "have handlers in another process, and check messages out"),
    "own": Action(ADMINISTRATOR, "take the folder over from the process that owns it"),
}
"""The actions by name, as the record of an act has it."""
