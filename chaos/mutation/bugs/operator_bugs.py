"""Planted bugs of what operators do: rights and bulk acts. How a bug is planted is in `perdure.chaos.mutation.mutants`."""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["OPERATOR_BUGS"]

OPERATOR_BUGS: tuple[Bug, ...] = (
    Bug(
        "a bulk act hits what died after it was counted",
        "rules",
        "tests/events/queue/operators/test_bulk_acts_rules.py",
        0,
        (Edit("perdure.events.queue.searching.letter_search", "if letter.seq > asked.upto:", "if letter.seq > asked.upto + 100:"),),
    ),
    Bug(
        "a commit of a bulk act that is sent again counts twice",
        "rules",
        "tests/events/queue/operators/test_bulk_acts_rules.py",
        0,
        (Edit("perdure.events.queue.bulk_acts", "or command.upto <= bulk.upto:", "or command.upto < bulk.upto:"),),
    ),
    Bug(
        "a commit of an edit is bounded by what was there, not by what it writes",
        "rules",
        "tests/events/queue/operators/test_bulk_acts_rules.py",
        0,
        (Edit("perdure.events.queue.bulk_acts", "if items and size + more > bytes_max:", "if items and size > bytes_max * 100:"),),
    ),
    Bug(
        "a bulk cancel hits what was published after the count",
        "rules",
        "tests/events/queue/operators/test_bulk_acts_rules.py",
        0,
        (
            Edit(
                "perdure.events.queue.searching.live_messages",
                "elif after < number <= upto and",
                "elif after < number <= upto + 100 and",
            ),
        ),
    ),
    Bug(
        "a message that is promoted out of its block is counted twice",
        "rules",
        "tests/events/queue/operators/test_bulk_acts_rules.py",
        0,
        (
            Edit(
                "perdure.events.queue.searching.live_messages",
                "alone = state.messages.copy()",
                "alone = state.messages",
            ),
        ),
    ),
    Bug(
        "a look at all messages or letters holds its actor up to the end",
        "rules",
        "tests/events/queue/operators/test_bulk_acts_rules.py",
        0,
        (Edit("perdure.events.structures.pieces", "left -= 1\n", "left -= 0\n"),),
    ),
    Bug(
        "an authorize that fails allows",
        "security",
        "tests/host/security/test_authorize.py",
        0,
        (
            Edit(
                "perdure.security.rights",
                "inert(principal), action, type)\n            return False",
                "inert(principal), action, type)\n            return True",
            ),
        ),
    ),
    Bug(
        "an audit shows events of a type that came after the call",
        "security",
        "tests/host/security/test_acting_iterators.py",
        0,
        (
            Edit(
                "perdure.operations.asked_audit",
                "            self._asked.require_of(event, name)\n            return",
                "            return",
            ),
        ),
    ),
)
