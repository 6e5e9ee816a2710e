"""Planted bugs in what feeds the handlers of other processes: sharing, sessions of members, their marks.

Those of requests over a connection are in `client_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["MEMBER_BUGS"]

SHARING = "tests/events/handlers/test_sharing.py"
SESSIONS = "tests/actors/sessions/test_member_session.py"
DELIVERED = "tests/actors/sessions/test_delivered.py"

MEMBER_BUGS: tuple[Bug, ...] = (
    Bug(
        "a message waits in one process while another has a free worker",
        "sharing",
        SHARING,
        0,
        (Edit("perdure.events.handlers.sharing", "min(share.free, share.room)", "share.room"),),
    ),
    Bug(
        "more of a type run in all processes together than its limit",
        "sharing",
        SHARING,
        0,
        (
            Edit(
                "perdure.events.handlers.sharing",
                "for subscription in subscriptions) > newest.limit:",
                "for subscription in ()) > 0:",
            ),
        ),
    ),
    Bug(
        "a message goes to a process that does not know its version",
        "sharing",
        "tests/events/queue/test_versions.py",
        0,
        (Edit("perdure.events.queue.leasing", "version_of(turn.published) <= version]", "version]"),),
    ),
    Bug(
        "an old process that connects anew brings its options back",
        "handler registry",
        "tests/events/handlers/test_rolling_deploys.py",
        0,
        (
            Edit(
                "perdure.events.handlers.registry",
                "known != asked and not known.started_us > asked.started_us > 0",
                "known != asked",
            ),
        ),
    ),
    Bug(
        "what a dead process had begun does not count",
        "session",
        SESSIONS,
        0,
        (Edit("perdure.actors.workers.member_pool", "        if begun:\n", "        if not delivery:\n"),),
    ),
    Bug(
        "what is handed to a process that has just died is never given back",
        "session",
        SESSIONS,
        0,
        (Edit("perdure.actors.workers.member_pool", "        if self.is_gone:  #", "        if not fresh:  #"),),
    ),
    Bug(
        "a process that hangs gets more messages",
        "session",
        SESSIONS,
        0,
        (Edit("perdure.actors.sessions.member_session", "            pool.is_silent = is_silent\n", ""),),
    ),
    Bug(
        "the completion of an attempt that was taken back counts for the next one",
        "session",
        SESSIONS,
        0,
        (
            Edit(
                "perdure.actors.sessions.member_session",
                "delivery.outcome is None and isinstance(delivery.lease, LeaseBatch):",
                "delivery.outcome is None:",
            ),
        ),
    ),
    Bug(
        "the next owner is told of completions by numbers that say nothing to it",
        "member",
        DELIVERED,
        0,
        (Edit("perdure.actors.sessions.delivered", "if times == 1 and (not withdrawn", "if times and (not withdrawn"),),
    ),
    Bug(
        "the mark of an attempt counts for the next one",
        "member",
        DELIVERED,
        0,
        (Edit("perdure.actors.sessions.begin_marks", "<< 8) | (attempt & 255)", "<< 8)"),),
    ),
)
