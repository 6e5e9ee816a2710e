"""Planted bugs in actors/: journal, deciders, queue, dispatcher and services.

The pure rules are in `event_bugs`, the files in `store_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import SCENARIOS, Bug, Edit

__all__ = ["ACTOR_BUGS"]

ACTOR_BUGS: tuple[Bug, ...] = (
    Bug(
        "an answer before the sync",
        "decider",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.journal.decider",
                "self.events, self.written, self.synced, size, self.taken)\n",
                "self.events, [*self.written, *self.synced], [], size, self.taken)\n",
            ),
        ),
    ),
    Bug(
        "an answer before the write",
        "decider",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.journal.decider",
                '            self.directory.tell("journal", append)\n',
                "            for effect in append.synced:\n"
                "                effect.release(0)\n"
                "            append.synced = []\n"
                '            self.directory.tell("journal", append)\n',
            ),
        ),
    ),
    Bug(
        "void_after is ignored",
        "journal",
        "simulation",
        SCENARIOS,
        (Edit("perdure.actors.journal.journal", "self.store.reopen(void_after=log.void_after)", "self.store.reopen()"),),
    ),
    Bug(
        "events of an earlier term are accepted",
        "journal",
        "simulation",
        SCENARIOS,
        (Edit("perdure.actors.journal.journal", "if self.terms.get(message.writer) == message.term:", "if message.term:"),),
        first=45,
    ),
    Bug(
        "the events of a pass are written in reverse order",
        "journal",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.journal.journal",
                "encode([(append.at_us, append.events) for",
                "encode([(append.at_us, append.events[::-1]) for",
            ),
        ),
    ),
    Bug(
        "a delivery before its lease is written",
        "queue",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.queue.deliveries",
                "queue.written.append(Deliver(pool, deliveries))",
                "pool.deliver(deliveries)",
            ),
        ),
    ),
    Bug(
        "a pass has no bound",
        "queue",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.queue.decision_pass",
                "if events >= PASS_EVENTS or size >= PASS_BYTES:",
                "if events < 0:",
            ),
        ),
    ),
    Bug(
        "the wait of a manual consumer for the disk counts as silence",
        "queue",
        "tests/host/handling/attempts/test_consumers_on_slow_disks.py",
        0,
        (
            Edit(
                "perdure.actors.queue.passing_time",
                "left_us = self._consumers.left_us(message, now_us) if lease.holder else 0",
                "left_us = 0",
            ),
        ),
        found=True,
    ),
    Bug(
        "an expired message is delivered",
        "queue",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.queue.passing_time",
                "        due = deadlines.due(queue.state, now_us, queue.limits, skipped_us)\n",
                "        due: list[ev.Event] = []\n",
            ),
            Edit(
                "perdure.events.queue.leasing",
                "            if is_past_ttl(turn.published, now_us):\n                continue\n",
                "",
            ),
            Edit(
                "perdure.actors.queue.queue",
                "        time.look(now_us)\n        for message in messages:",
                "        self.apply(deadlines.due(self.state, now_us, self.limits))\n"
                "        time.look(now_us)\n        for message in messages:",
            ),
        ),
        found=True,
        first=120,
    ),
    Bug(
        "requests to a dead actor are not sent again",
        "decider",
        "tests/actors/journal/test_deciders.py",
        0,
        (
            Edit(
                "perdure.actors.journal.decider",
                "requests = self.pending.unanswered(self.name, self.made_before | received)",
                "requests = [m for m in self.backlog if type(m) is Request]",
            ),
        ),
    ),
    Bug(
        "a successor takes unanswered requests in reverse order",
        "decider",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.journal.decider",
                "requests = self.pending.unanswered(self.name, self.made_before | received)",
                "requests = self.pending.unanswered(self.name, self.made_before | received)[::-1]",
            ),
        ),
    ),
    Bug(
        "a closed submit batch accepts more messages",
        "submit batch",
        "simulation",
        SCENARIOS,
        (
            Edit("perdure.actors.requests.submit_batch", "if not self._is_open or (rows and", "if (rows and"),
            Edit(
                "perdure.actors.requests.submit_batch",
                "return self._is_open or any(other is row for other in self._taken())",
                "return True",
            ),
        ),
        first=87,
    ),
    Bug(
        "a worker counts as at work before its beginning is over",
        "supervisor",
        "tests/actors/services/test_restart_budget.py",
        0,
        (
            Edit(
                "perdure.actors.services.supervisor",
                "actor is not None and not actor.is_beginning and self",
                "actor is not None and self",
            ),
        ),
    ),
    Bug(
        "a restarted timer learns no deadlines",
        "supervisor",
        "tests/actors/services/test_timer.py",
        0,
        (
            Edit(
                "perdure.actors.services.supervisor",
                "            self.runtime.directory.tell_all(Restarted(name))\n        self.record.add",
                "            pass\n        self.record.add",
            ),
        ),
    ),
    Bug(
        "a stop does not wait for finished work to be recorded",
        "dispatcher",
        "simulation",
        SCENARIOS,
        (
            Edit("perdure.actors.workers.staff", "any(pool.is_busy for pool in pools)", "any(pool.running() for pool in pools)"),
            Edit("perdure.actors.workers.staff", "                self.reporter.report(pool, ended)\n", "                pass\n"),
            Edit("perdure.actors.workers.staff", "if any(d.outcome is not None and not", "if any(d.outcome is None and not"),
        ),
        found=True,
    ),
    Bug(
        "a stop does not wait for a queue that is recovering",
        "dispatcher",
        "simulation",
        SCENARIOS,
        (Edit("perdure.actors.workers.staff", "if any(d.outcome is not None and not", "if any(d.outcome is None and not"),),
        found=True,
        first=81,
    ),
    Bug(
        "the deliveries of a dead worker are not reported",
        "dispatcher",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.workers.staff",
                "        if settled:\n            self.reporter.report(pool, settled)",
                "        settled.clear()",
            ),
        ),
        favoured=("kill", "kill_soon"),
    ),
    Bug(
        "a row leaves the outbox before its message is on the disk",
        "relay",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.services.relay",
                "        if progress.drafts:\n            self._publish(source, progress.drafts)\n",
                "        if progress.drafts:\n            source.delete([*progress.drafts])\n"
                "            self._publish(source, progress.drafts)\n",
            ),
        ),
    ),
    Bug(
        "a result is given before it is on the disk",
        "queue",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.queue.decision_pass",
                "self.synced += self.awaiting.answers(self.events)",
                "self.written += self.awaiting.answers(self.events)",
            ),
        ),
    ),
    Bug(
        "a running handler does not see that its message is cancelled",
        "queue",
        "simulation",
        SCENARIOS,
        (Edit("perdure.actors.queue.operators_acts", "queue.written += stops\n", "del stops\n"),),
    ),
    Bug(
        "one payload that waits keeps the files of all that were spilled with it",
        "payload spill",
        "tests/host/payloads/test_spilled_room.py",
        0,
        (Edit("perdure.actors.queue.queue", "if self.state.has_spilled and compact(self.state):", "if not self.state:"),),
    ),
    Bug(
        "what is asked after the end of a run is never answered",
        "requests",
        "tests/actors/requests/test_end_of_a_run.py",
        0,
        (Edit("perdure.actors.requests.pending", "self.refuse(request, another(self._ended))", "pass"),),
        found=True,
    ),
    Bug(
        "requests that are given up are kept until their message ends",
        "requests",
        "tests/actors/requests/test_result_waiters.py",
        0,
        (Edit("perdure.actors.requests.result_waiters", "            self._forget()\n", "            pass\n"),),
        found=True,
    ),
    Bug(
        "what a handler publishes is on record without the policy of its key",
        "handlers",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.workers.context",
                "publisher.draft(message, causation_id=self.id, **options)\n",
                "publisher.draft(message, causation_id=self.id, **options)._replace(extras=None)\n",
            ),
        ),
    ),
    Bug(
        "what a handler publishes has no time to live",
        "handlers",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.workers.context",
                "publisher.draft(message, causation_id=self.id, **options)\n",
                "publisher.draft(message, causation_id=self.id, **options)._replace(expires_us=0)\n",
            ),
        ),
    ),
    Bug(
        "a handler begins after its process has stopped",
        "handlers",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.actors.workers.staff",
                "        pool.closed = shut or paused\n",
                "        pool.closed = paused\n",
            ),
        ),
        favoured=("restart",),
    ),
)
