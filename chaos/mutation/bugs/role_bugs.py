"""Planted bugs in what members are besides workers: the next owner, consumers by hand, relays of an outbox that several have.

Those of their workers are in `member_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["ROLE_BUGS"]

WITH_ROLES = 60
"""Scenarios with such members within which the simulation must notice a bug."""
PROMOTED = ("candidate_joins", "promotion")
BY_HAND = ("candidate_joins", "member_asks")
RELAYED = ("candidate_joins", "shared_outbox")

ROLE_BUGS: tuple[Bug, ...] = (
    Bug(
        "what runs in a member that becomes the owner is handed out once more",
        "queue",
        "roles",
        WITH_ROLES,
        (
            Edit(
                "perdure.actors.queue.orphans", "elif lease is not None and not _is_open(message, mine):", "elif lease is not None:"
            ),
            Edit("perdure.actors.queue.orphans", " and not _is_open(message, all_pools)", ""),
        ),
        favoured=PROMOTED,
    ),
    Bug(
        "a process that becomes the owner keeps the dispatcher of a member",
        "member",
        "roles",
        WITH_ROLES,
        (Edit("perdure.processes.member", "        self._handlers.leave()\n", ""),),
        favoured=PROMOTED,
    ),
    Bug(
        "a process that becomes the owner loses what it has checked out",
        "system",
        "roles",
        WITH_ROLES,
        (Edit("perdure.lifecycle.own_engine", "else origins | {own}", "else origins"),),
        favoured=(*PROMOTED, *BY_HAND),
    ),
    Bug(
        "what a process has checked out is taken back when another one becomes the owner",
        "queue",
        "roles",
        WITH_ROLES,
        (Edit("perdure.actors.queue.orphans", "== lease.attempt and not is_connected", "== lease.attempt"),),
        favoured=(*PROMOTED, *BY_HAND),
    ),
    Bug(
        "what a process that is gone has checked out stays out until its lease ends",
        "sessions",
        "roles",
        WITH_ROLES,
        (Edit("perdure.actors.sessions.departures.departed", "                self._gone(origin)\n", ""),),
        favoured=BY_HAND,
    ),
    Bug(
        "an owner that gets on no more with its log says again and again that it reads",
        "waiting line",
        "tests/actors/sessions/test_waiting_line.py",
        0,
        (Edit("perdure.events.processes.log_reading", "told is None or steps != told", "True"),),
    ),
    Bug(
        "an owner tells how far it is with its log to those that do not understand it",
        "waiting line",
        "tests/actors/sessions/test_waiting_line.py",
        0,
        (Edit("perdure.actors.sessions.listening.waiting_line", " and elements[4:5] == [TAKES_READING]", ""),),
    ),
    Bug(
        "what a process has said while the owner read its log is lost",
        "waiting line",
        "tests/actors/sessions/test_waiting_line.py",
        0,
        (Edit("perdure.actors.sessions.listening.waiting_line", "(HELLO_MAX + LENGTH, socket.MSG_PEEK)", "(HELLO_MAX + LENGTH)"),),
    ),
    Bug(
        "an owner that tells how it gets on with its log is waited for no longer than one that tells nothing",
        "waiting",
        "tests/events/processes/test_log_reading.py",
        0,
        (Edit("perdure.events.processes.log_reading", "told_s if isinstance(timeout_s, UnlessTold) else asked_s", "asked_s"),),
    ),
    Bug(
        "a request waits for longer than its client has said, while an owner reads its log",
        "waiting",
        "tests/events/processes/test_log_reading.py",
        0,
        (Edit("perdure.events.processes.log_reading", "told_s if isinstance(timeout_s, UnlessTold) else asked_s", "told_s"),),
    ),
    Bug(
        "all processes relay the outbox that they have",
        "relayers",
        "roles",
        WITH_ROLES,
        (Edit("perdure.events.processes.relayers", " if name not in own and self._first(name, now_s) is process}", "}"),),
        favoured=RELAYED,
    ),
    Bug(
        "no other process goes on with the outbox of one that hangs",
        "relayers",
        "roles",
        WITH_ROLES,
        (Edit("perdure.events.processes.relayers", " if is_heard(process.heard_s, now_s, HEARD_S)), None)", "), None)"),),
        first=90,
        favoured=RELAYED,
    ),
    Bug(
        "no other process goes on with the outbox of one that has died",
        "relayers",
        "roles",
        WITH_ROLES,
        (
            Edit("perdure.events.processes.relayers", "self._claims.pop(process, None)", "self._claims.get(process)"),
            Edit("perdure.events.processes.relayers", " if is_heard(process.heard_s, now_s, HEARD_S)), None)", "), None)"),
        ),
        favoured=RELAYED,
    ),
    Bug(
        "no other process goes on with the outbox of one that cannot read it",
        "relay",
        "roles",
        WITH_ROLES,
        (Edit("perdure.actors.core.extensions", " and source.name not in self._unread]", "]"),),
        favoured=RELAYED,
    ),
    Bug(
        "no other process goes on with the outbox of one that may not delete",
        "relay",
        "roles",
        WITH_ROLES,
        (Edit("perdure.actors.services.relay", "                progress.left_some = True\n", ""),),
        favoured=RELAYED,
    ),
    Bug(
        "news of an outbox does not reach the process that relays it",
        "member",
        "roles",
        WITH_ROLES,
        (Edit("perdure.processes.member_outboxes", "        self._news = next(self._count)\n", ""),),
        favoured=RELAYED,
    ),
)
