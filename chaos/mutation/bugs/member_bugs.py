"""Planted bugs in what feeds the handlers of other processes: sharing, sessions of members, their marks.

Those of requests over a connection are in `client_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["MEMBER_BUGS"]

SHARING = "tests/events/handlers/test_sharing.py"
SESSIONS = "tests/actors/sessions/test_member_session.py"
DELIVERED = "tests/actors/sessions/test_delivered.py"
LOST_RUNS = "tests/actors/queue/test_lost_runs.py"
RELAYERS = "tests/events/processes/test_relayers.py"
SPENT = "tests/events/queue/attempts/test_spent_attempts.py"

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
        (Edit("perdure.events.handlers.sharing", "return capped(whole)", "return whole"),),
    ),
    Bug(
        "others wait behind what runs under a limit, though more workers may come",
        "sharing",
        SHARING,
        0,
        (
            Edit(
                "perdure.events.handlers.sharing",
                "    if not limit:",
                "    if not limit or subscription.parallelism <= limit:",
            ),
        ),
    ),
    Bug(
        "a message goes to a process that does not know its version",
        "sharing",
        "tests/events/queue/test_versions.py",
        0,
        (Edit("perdure.events.structures.ready_queue", "if not version or of <= version]", "]"),),
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
        (Edit("perdure.actors.workers.pools.member_pool", "            if begun\n", "            if not delivery\n"),),
    ),
    Bug(
        "what is handed to a process that has just died is never given back",
        "session",
        SESSIONS,
        0,
        (Edit("perdure.actors.workers.pools.member_pool", "        if self.is_gone:  #", "        if not fresh:  #"),),
    ),
    Bug(
        "a process that hangs gets more messages",
        "session",
        SESSIONS,
        0,
        (Edit("perdure.actors.sessions.member_work.member_session", "            pool.is_silent = is_silent\n", ""),),
    ),
    Bug(
        "the completion of an attempt that was taken back counts for the next one",
        "session",
        SESSIONS,
        0,
        (
            Edit(
                "perdure.actors.sessions.member_work.member_outcomes",
                "delivery.outcome is None and isinstance(delivery.lease, LeaseBatch):",
                "delivery.outcome is None:",
            ),
        ),
    ),
    Bug(
        "a delivery that is decided for one process is another's too until it is written",
        "queue",
        LOST_RUNS,
        0,
        (Edit("perdure.actors.queue.reattaching", "pool.is_gone or orphans.held.get(number) != attempt or", "pool.is_gone or"),),
        found=True,
    ),
    Bug(
        "the outcome of one process settles the attempt of another",
        "queue",
        LOST_RUNS,
        0,
        (Edit("perdure.actors.queue.reattaching", "if orphans.held.get(number) == attempt or", "if attempt or"),),
        found=True,
    ),
    Bug(
        "an attempt whose lease the disk has lost is begun once more while it runs",
        "queue",
        LOST_RUNS,
        0,
        (Edit("perdure.actors.queue.lost_runs", "            if message is not None:\n", "            if message is claim:\n"),),
        found=True,
    ),
    Bug(
        "messages go to a process that is gone, and come back, without end",
        "queue",
        LOST_RUNS,
        0,
        (
            Edit(
                "perdure.actors.queue.deliveries",
                "for pool in self._elsewhere if pool.is_gone]",
                "for pool in self._elsewhere if not pool]",
            ),
        ),
        found=True,
    ),
    Bug(
        "a number that is spent costs a retry",
        "rules",
        SPENT,
        0,
        (Edit("perdure.events.queue.leasing", "else retries + message.forgiven", "else retries"),),
    ),
    Bug(
        "a replay that counts from zero gives numbers out again that runs had before",
        "rules",
        SPENT,
        0,
        (Edit("perdure.events.queue.replay_and_purge", "max(0, state.dead[number].last - item.attempts)", "0"),),
    ),
    Bug(
        "a run of before a replay that the disk has lost shares its number with the next replay",
        "queue",
        LOST_RUNS,
        0,
        (Edit("perdure.actors.queue.lost_runs", "(dead is None or dead.last >= attempt)", "attempt > 0"),),
    ),
    Bug(
        "what is given back is handed out under the same number",
        "rules",
        SPENT,
        0,
        (Edit("perdure.events.queue.outcomes", "free_worker_only, spent=True)", "free_worker_only)"),),
        found=True,
    ),
    Bug(
        "a handler sees attempts that do not count",
        "rules",
        SPENT,
        0,
        (Edit("perdure.events.queue.leasing", "free <= 0, turn.forgiven))", "free <= 0))"),),
    ),
    Bug(
        "a result that comes after its lease was lost is taken for a repeated report",
        "rules",
        SPENT,
        0,
        (
            Edit(
                "perdure.events.queue.folding.folds",
                "    message.attempts = attempt\n",
                "    message.attempts = message.settled = attempt\n",
            ),
        ),
        found=True,
    ),
    Bug(
        "the next owner is told of completions by numbers that say nothing to it",
        "member",
        DELIVERED,
        0,
        (Edit("perdure.actors.sessions.framing.delivered", "if is_known and (not withdrawn", "if (not withdrawn"),),
        found=True,
    ),
    Bug(
        "what a member held counts as handed out by the owner that it is told to",
        "member",
        "tests/chaos/simulation/test_simulated_member.py",
        0,
        (Edit("perdure.actors.members.held_handlers", "        self._handed = WeakSet()\n", ""),),
        found=True,
    ),
    Bug(
        "what ends in a member is not held back until the next owner knows that it holds it",
        "member",
        "tests/chaos/simulation/test_simulated_member.py",
        0,
        (Edit("perdure.actors.sessions.member_work.member_outcomes", " and not self._reattaching:", ":"),),
        found=True,
    ),
    Bug(
        "the mark of an attempt counts for the next one",
        "member",
        DELIVERED,
        0,
        (Edit("perdure.actors.sessions.member_work.begin_marks", "<< 8) | (attempt & 255)", "<< 8)"),),
    ),
    Bug(
        "a member that hung begins what has run out meanwhile",
        "member",
        "tests/host/processes/members/test_late_worker.py",
        0,
        (Edit("perdure.actors.members.member_roles", "0 < delivery.lease.until_us <= self.looked_us + owner.ahead_us or ", ""),),
    ),
    Bug(
        "a member that hung begins what the next owner has given to others",
        "member",
        "tests/host/processes/members/test_late_worker.py",
        0,
        (
            Edit(
                "perdure.actors.members.member_roles",
                " or self.now_s() >= owner.until_s:\n            return False",
                ":\n            return False",
            ),
        ),
        found=True,
    ),
    Bug(
        "a member that becomes the owner begins what it holds while it reads the log",
        "member",
        "tests/host/processes/takeovers/test_takeover.py",
        0,
        (
            Edit(
                "perdure.actors.members.held_handlers",
                "        self._succession.end()\n        executor, actors",
                "        self.own()\n        self._succession.end()\n        executor, actors",
            ),
        ),
        found=True,
    ),
    Bug(
        "a member that has not heard its owner gives back what it is handed until its next question is due",
        "exchange",
        "tests/host/processes/clients/test_exchange.py",
        0,
        (
            Edit(
                "perdure.processes.to_owner.exchange",
                "            if self.is_member and self._is_doubtful(now_s):\n                self.post(self._question(now_s))\n",
                "",
            ),
        ),
        found=True,
    ),
    Bug(
        "a member that becomes the owner begins what it holds before its queue has revoked what is not its own",
        "member",
        "tests/host/processes/takeovers/test_takeover.py",
        0,
        (
            Edit(
                "perdure.lifecycle.own_engine",
                "engine.runtime.orphans.reconciled = _once(member.own)",
                "member.own()",
            ),
        ),
        found=True,
    ),
    Bug(
        "what lay in its socket while it was stopped counts as an answer of a living owner",
        "exchange",
        "tests/host/processes/clients/test_exchange.py",
        0,
        (
            Edit(
                "perdure.processes.to_owner.exchange",
                "        if not self.is_up:\n            self._take_pong([])\n",
                "        self._take_pong([])\n",
            ),
        ),
        found=True,
    ),
    Bug(
        "what a member has handled is handled again where it stops and no owner is left",
        "member",
        "tests/host/processes/members/test_stopping_together.py",
        0,
        (Edit("perdure.processes.member", "self._recorder = self.record_alone()", "self._recorder = None"),),
    ),
    Bug(
        "a consumer that has lost its lease completes the attempt of the next one",
        "rules",
        "tests/events/queue/attempts/test_shared_numbers.py",
        0,
        (Edit("perdure.events.queue.consumer_reports", " and message.lease.holder != holder", " and not holder"),),
    ),
    Bug(
        "each process reads the outbox that several have",
        "relayers",
        RELAYERS,
        0,
        (Edit("perdure.events.processes.relayers", " if name not in own and self._first(name, now_s) is process}", "}"),),
    ),
    Bug(
        "an outbox is left to a process that hangs",
        "relayers",
        RELAYERS,
        0,
        (Edit("perdure.events.processes.relayers", " if is_heard(process.heard_s, now_s, HEARD_S)", ""),),
    ),
    Bug(
        "an owner reads only the outboxes that the one before left to it",
        "member",
        "tests/host/processes/members/test_member_outboxes.py",
        0,
        (Edit("perdure.processes.member_outboxes", "self._runtime.extensions.granted = None  #", "pass  #"),),
    ),
    Bug(
        "a member says nothing of a lease that it does not have",
        "member",
        "tests/chaos/simulation/test_missing_deliveries.py",
        0,
        (
            Edit(
                "perdure.actors.members.member_dispatcher",
                "            if isinstance(message, Overdue):  #",
                "            if False:  #",
            ),
        ),
        found=True,
    ),
)
