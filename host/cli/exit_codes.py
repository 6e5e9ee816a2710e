"""Exit codes of the command line: one table, which docs/COMMANDS.md shows and a test compares.

Not here: the line that an error prints (`main`).
"""

from __future__ import annotations

from perdure.cli.operated_folder import BadChoice
from perdure.events.errors import InvalidMessage, NotAllowed, NotRunning, PayloadTooLarge, StoreLocked, UnknownMessage

__all__ = ["EXIT_CODES", "code_of"]

USAGE, NO_OWNER, NOT_ALLOWED, UNKNOWN = 2, 3, 4, 5
EXIT_CODES: dict[int, str] = {
    0: "done, and the answer is good",
    1: "the answer is no (damage, an act that had no effect), or something failed; the line on standard error says what",
    USAGE: "the command line itself is wrong",
    NO_OWNER: (
        "no process that owns the folder could answer, or one owns it that takes nothing from others: try again, or ask that one"
    ),
    NOT_ALLOWED: "not allowed: the system's `authorize`, or its `allowed_uids`, refuses it",
    UNKNOWN: "no such message, dead letter or schedule",
    130: "interrupted",
}


def code_of(error: BaseException) -> int:
    """Return the exit code for an error that ends a command."""
    match error:
        case PayloadTooLarge():
            return 1  # what was given is well-formed, and more than the queue takes
        case BadChoice() | InvalidMessage():  # in a command, whatever is invalid was typed: a position, an expression, an option
            return USAGE
        case NotAllowed():
            return NOT_ALLOWED
        case NotRunning() | StoreLocked():
            return NO_OWNER
        case UnknownMessage():
            return UNKNOWN
        case _:
            return 1
