"""Planted bugs in events/: the rules, the folded state of the queue, and its snapshots.

The actors that apply the rules are in `actor_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import SCENARIOS, Bug, Edit

__all__ = ["EVENT_BUGS"]

EVENT_BUGS: tuple[Bug, ...] = (
    Bug(
        "no fencing: any attempt may report",
        "rules",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.queue.outcomes", "message.lease.attempt != attempt or ", ""),),
    ),
    Bug(
        "completed without what its handler published",
        "rules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.outcomes",
                "events = [*accept(state, unknown(state, report.drafts), now_us, limits), *events]",
                "accept(state, unknown(state, report.drafts), now_us, limits)",
            ),
        ),
    ),
    Bug(
        "a repeated id is published again",
        "rules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.admission.publishing",
                "fresh = [draft for draft in drafts if not number_of(draft.id)]",
                "fresh = list(drafts)",
            ),
        ),
    ),
    Bug(
        "a snapshot loses the number of attempts",
        "snapshot",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.codec.queue_snapshot", "**rest))", '**{**rest, "attempts": 0}))'),),
    ),
    Bug(
        "a group delivers its next message while one is in flight",
        "state",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.folding.placement",
                "state.groups[published.group].head != message.number:",
                "published.group not in state.groups:",
            ),
        ),
    ),
    Bug(
        "two messages of one key are in flight together",
        "state",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.folding.placement",
                "        if running and running != message.number:\n",
                "        if running and running == -1:\n",
            ),
        ),
    ),
    Bug(
        "a delay ends a second early",
        "rules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.deadlines",
                "for _, number in _until(state.delayed, now_us) if left",
                "for _, number in _until(state.delayed, now_us + 1_000_000) if left",
            ),
        ),
    ),
    Bug(
        "all deadlines of one instant are handled in one pass",
        "rules",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.queue.deadlines", "            if len(awake) >= left:\n                break\n", ""),),
        favoured=("submit_batch",),
    ),
    Bug(
        "the lowest priority is delivered first",
        "ready queue",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.structures.ready_queue", "sorted(self.levels, reverse=True)", "sorted(self.levels)"),),
        favoured=("publish",),
    ),
    Bug(
        "a schedule begins twice",
        "rules",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.queue.decisions", " or (dealt_with_us and not command.after_us)", ""),),
        found=True,
        favoured=("process_death", "process_death_soon"),
        first=8,
    ),
    Bug(
        "no result for a message superseded in its own frame",
        "rules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.admission.publishing",
                "if older.extras is not None:",
                "if older.extras is not None and waits < state.next_number:",
            ),
        ),
        found=True,
        favoured=("submit_batch",),
        first=9,
    ),
    Bug(
        "a message that killed its process ignores the rate limit",
        "rules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.leasing",
                "waits = state.leased or (subscription.interval_us and not rates.allowed(state, subscription, now_us))",
                "waits = state.leased",
            ),
        ),
        found=True,
        favoured=("process_death_soon",),
        first=7,
    ),
    Bug(
        "a tick that is sent again counts twice",
        "schedules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.decisions",
                "elif command.due_us <= dealt_with_us or",
                "elif command.due_us < dealt_with_us or",
            ),
        ),
        favoured=("redeliver",),
        first=13,
    ),
    Bug(
        "a snapshot loses which ticks are done",
        "snapshot",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.codec.queue_snapshot", 'dict(plain.get("ticks", {}))', "{}"),),
    ),
    Bug(
        "an elastic handler grows past its bound",
        "handler registry",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.handlers.registry", "max(low, min(parallelism, high))", "max(low, parallelism)"),),
        favoured=("publish_many",),
    ),
    Bug(
        "every message of a debounced burst is kept",
        "rules",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.admission.publishing",
                "            if waits:\n                events.append(ev.Superseded(waits, by=number))\n",
                "            if waits and not draft.due_us:\n                events.append(ev.Superseded(waits, by=number))\n",
            ),
        ),
        first=90,
    ),
    Bug(
        "a cancelled message is reported as completed",
        "state",
        "simulation",
        SCENARIOS,
        (
            Edit(
                "perdure.events.queue.folding.folds",
                'end_message(state, message, message.attempts, "cancelled")',
                "end_message(state, message, message.attempts)",
            ),
        ),
    ),
    Bug(
        "a death long ago counts against the restart budget",
        "restart policy",
        "tests/events/test_restart_policy.py",
        0,
        (
            Edit(
                "perdure.events.supervision.restart_policy", "*(at_s for at_s in deaths_s if now_s - at_s < window_s)", "*deaths_s"
            ),
        ),
    ),
    Bug(
        "messages are prefetched beyond a limited rate",
        "subscription window",
        "tests/events/handlers/test_subscription_window.py",
        0,
        (
            Edit(
                "perdure.events.handlers.subscription_window",
                "(1 if rate_limited else 1 + prefetch(run_us, prefetch_us, prefetch_max))",
                "(1 + prefetch(run_us, prefetch_us, prefetch_max))",
            ),
        ),
    ),
    Bug(
        "a worker of short handlers and the queue work in turns",
        "subscription window",
        "tests/actors/workers/test_pool.py",
        0,
        (Edit("perdure.options", "prefetch_max: int = attrs.field(default=512,", "prefetch_max: int = attrs.field(default=256,"),),
    ),
    Bug(
        "an elastic handler gets more new workers than messages wait",
        "elastic handlers",
        "tests/events/handlers/test_elasticity.py",
        0,
        (Edit("perdure.events.handlers.elasticity", "min(ready, max(1, workers))", "max(1, workers)"),),
    ),
    Bug(
        "a publish that waits for room and is sent again loses its turn",
        "waiting publishes",
        "tests/events/queue/admission/test_waiting_order.py",
        0,
        (
            Edit(
                "perdure.events.queue.admission.waiting_order",
                "before = self._items.get(key)",
                "before = self._items.pop(key, None)",
            ),
        ),
    ),
    Bug(
        "a publish that is sent again is accepted with new ones unseen",
        "publish groups",
        "tests/events/queue/admission/test_publish_groups.py",
        0,
        (Edit("perdure.events.queue.admission.publish_groups", " or not publish.fresh:", ":"),),
    ),
    Bug(
        "a repeated report of a completion counts though the attempt had failed",
        "consumer reports",
        "tests/events/queue/attempts/test_consumer_reports.py",
        0,
        (
            Edit(
                "perdure.events.queue.consumer_reports",
                "not sent_again or (isinstance(report, Done) and not _has_completed(state, report))",
                "not sent_again",
            ),
        ),
    ),
    Bug(
        "the pause before refused outbox rows are tried again never grows",
        "outbox polling",
        "tests/events/schedules/test_outbox_polling.py",
        0,
        (Edit("perdure.events.schedules.outbox_polling", "            self.refusals += 1\n", ""),),
    ),
)
