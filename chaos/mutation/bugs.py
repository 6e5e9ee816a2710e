"""The bugs that `mutants` plants: what, where, and which tool must notice it within which effort.

Those marked as found were in perdure once, and were found by that tool.
"""

from __future__ import annotations

import attrs

__all__ = ["BUGS", "Bug", "Edit"]

NIGHTS = 300
OPERATIONS = 45


@attrs.frozen
class Edit:
    """A text of a module's source, which must be there exactly once, and what stands in its place."""

    module: str
    old: str
    new: str


@attrs.frozen
class Bug:
    """One planted bug; `place` is the part of perdure it is in."""

    name: str
    place: str
    tool: str
    effort: int
    edits: tuple[Edit, ...]
    found: bool = False
    """It was there once, and this is how it was found."""
    first: int = 0
    """The seed at which the simulation begins, for a bug that few scenarios show."""


BUGS: tuple[Bug, ...] = (
    Bug(
        "an answer before the sync",
        "decider",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.core.decider",
                "self.events, self.written, self.synced, size)\n",
                "self.events, [*self.written, *self.synced], [], size)\n",
            ),
        ),
    ),
    Bug(
        "an answer before the write",
        "decider",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.core.decider",
                '            self.runtime.tell("journal", append)\n',
                "            for effect in append.synced:\n"
                "                effect.release(0)\n"
                "            append.synced = []\n"
                '            self.runtime.tell("journal", append)\n',
            ),
        ),
    ),
    Bug(
        "no fsync",
        "store",
        "crash states",
        OPERATIONS,
        (Edit("perdure.store.files.segment_store", "            self.disk.sync_data(fd)\n", "            pass\n"),),
    ),
    Bug(
        "no fsync (as seen from above)",
        "store",
        "simulation",
        NIGHTS,
        (Edit("perdure.store.files.segment_store", "            self.disk.sync_data(fd)\n", "            pass\n"),),
    ),
    Bug(
        "a new segment's name is not synced",
        "store",
        "crash states",
        OPERATIONS,
        (
            Edit(
                "perdure.store.files.segment_store",
                "            self.disk.rename(beside, path)\n            self.disk.sync_folder(self.path)\n",
                "            self.disk.rename(beside, path)\n",
            ),
        ),
    ),
    Bug(
        "void_after is ignored",
        "journal",
        "simulation",
        NIGHTS,
        (Edit("perdure.actors.journal.journal", "self.store.reopen(void_after=self.runtime.void_after)", "self.store.reopen()"),),
    ),
    Bug(
        "facts of an earlier term are taken",
        "journal",
        "simulation",
        NIGHTS,
        (Edit("perdure.actors.journal.journal", "if self.terms.get(message.writer) == message.term:", "if message.term:"),),
    ),
    Bug(
        "the facts of a pass are written in another order",
        "journal",
        "simulation",
        NIGHTS,
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
        NIGHTS,
        (
            Edit(
                "perdure.actors.queue.deliveries",
                "            queue.written.append(Deliver(pool, deliveries))\n",
                "            pool.deliver(deliveries)\n",
            ),
        ),
    ),
    Bug(
        "no fencing: any attempt may report",
        "rules",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.queue.outcomes", "message.lease.attempt != attempt or ", ""),),
    ),
    Bug(
        "completed without what its handler published",
        "rules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.outcomes",
                "events = [*accept(state, unknown(state, report.drafts), now_us, limits), *events]",
                "accept(state, unknown(state, report.drafts), now_us, limits)",
            ),
        ),
    ),
    Bug(
        "known ids are published again",
        "rules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.publishing",
                "fresh = [draft for draft in drafts if draft.id not in ids]",
                "fresh = list(drafts)",
            ),
        ),
    ),
    Bug(
        "a snapshot forgets how often it was tried",
        "snapshot",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.codec.snapshot", "**rest))", '**{**rest, "attempts": 0}))'),),
    ),
    Bug(
        "a group lets in the next while one is out",
        "state",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.placement",
                "state.groups[published.group].head != message.number:",
                "published.group not in state.groups:",
            ),
        ),
    ),
    Bug(
        "of a key two may be out",
        "state",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.placement",
                "        if running and running != message.number:\n",
                "        if running and running == -1:\n",
            ),
        ),
    ),
    Bug(
        "a delay ends a second early",
        "rules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.decisions",
                "for _, number in _until(state.delayed, now_us) if left",
                "for _, number in _until(state.delayed, now_us + 1_000_000) if left",
            ),
        ),
    ),
    Bug(
        "a pass is as large as what came for it",
        "queue",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.queue.queue",
                "if events >= admission.PASS_EVENTS or size >= admission.PASS_BYTES:",
                "if events < 0:",
            ),
        ),
    ),
    Bug(
        "all that is due at one instant is dealt with at once",
        "rules",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.queue.decisions", "            if len(awake) >= left:\n                break\n", ""),),
    ),
    Bug(
        "an expired message is delivered",
        "queue",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.queue.queue",
                "        due = rules.tick(self.state, now_us, self.runtime.limits, unlived_us)\n",
                "        due: list[ev.Event] = []\n",
            ),
            Edit(
                "perdure.events.queue.decisions",
                "            if has_expired(turn.published, now_us):\n                continue\n",
                "",
            ),
            Edit(
                "perdure.actors.queue.queue",
                "        self._pass_time(now_us)\n        for message in messages:",
                "        self.apply(rules.tick(self.state, now_us, self.runtime.limits))\n"
                "        self._pass_time(now_us)\n        for message in messages:",
            ),
        ),
        found=True,
    ),
    Bug(
        "the lowest priority first",
        "lines",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.structures.ready_queue", "sorted(self.levels, reverse=True)", "sorted(self.levels)"),),
    ),
    Bug(
        "who asked a dead actor is not asked for again",
        "deciders",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.core.decider",
                "requests = self.runtime.pending.unanswered(self.name, self.made_before | told)",
                "requests = [m for m in self.backlog if type(m) is Request]",
            ),
        ),
    ),
    Bug(
        "a successor takes up last what was asked for first",
        "deciders",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.core.decider",
                "requests = self.runtime.pending.unanswered(self.name, self.made_before | told)",
                "requests = self.runtime.pending.unanswered(self.name, self.made_before | told)[::-1]",
            ),
        ),
    ),
    Bug(
        "a closed submit batch takes in more",
        "bundles",
        "simulation",
        NIGHTS,
        (
            Edit("perdure.actors.requests.submit_batch", "if not self._is_open or (rows and", "if (rows and"),
            Edit(
                "perdure.actors.requests.submit_batch",
                "return self._is_open or any(other is row for other in self._taken())",
                "return True",
            ),
        ),
    ),
    Bug(
        "a new timer is told of no deadline",
        "supervisor",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.services.supervisor",
                "            self.runtime.tell_all(Restarted(name))\n        self._record",
                "            pass\n        self._record",
            ),
        ),
        first=370,
    ),
    Bug(
        "a stop does not wait for what has ended and is not on record",
        "dispatcher",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.workers.dispatcher", "any(pool.is_busy for pool in pools)", "any(pool.running() for pool in pools)"
            ),
            Edit(
                "perdure.actors.workers.dispatcher", "                report(self.runtime, pool, ended)\n", "                pass\n"
            ),
            Edit("perdure.actors.workers.dispatcher", "if any(d.outcome is not None and not", "if any(d.outcome is None and not"),
        ),
        found=True,
    ),
    Bug(
        "a stop does not wait for a queue that is recalling its state",
        "dispatcher",
        "simulation",
        NIGHTS,
        (Edit("perdure.actors.workers.dispatcher", "if any(d.outcome is not None and not", "if any(d.outcome is None and not"),),
        found=True,
    ),
    Bug(
        "what a dead worker had is nobody's",
        "dispatcher",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.workers.dispatcher",
                "        if settled:\n            report(self.runtime, pool, settled)",
                "        settled.clear()",
            ),
        ),
    ),
    Bug(
        "a schedule begins twice",
        "rules",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.queue.decisions", "    if dealt_with_us and not command.after_us:\n        return []\n", ""),),
        found=True,
    ),
    Bug(
        "no result for who was superseded in its own frame",
        "rules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.publishing",
                "                superseded.append(older)",
                "                if waits < state.next_number:\n                    superseded.append(older)",
            ),
        ),
        found=True,
    ),
    Bug(
        "what killed its process heeds no rate",
        "rules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.decisions",
                "waits = state.leased or (subscription.interval_us and not _allowed(state, subscription, now_us))",
                "waits = state.leased",
            ),
        ),
        found=True,
    ),
    Bug(
        "a tick that is sent again is a second tick",
        "schedules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.decisions",
                "if command.due_us <= dealt_with_us and",
                "if command.due_us < dealt_with_us and",
            ),
        ),
    ),
    Bug(
        "a snapshot forgets which ticks are dealt with",
        "snapshot",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.codec.snapshot", 'dict(plain.get("ticks", {}))', "{}"),),
    ),
    Bug(
        "a row leaves the outbox before its message is on the disk",
        "relay",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.services.relay",
                "            self._publish(source.name, progress.drafts)\n",
                "            source.delete([*progress.drafts])\n            self._publish(source.name, progress.drafts)\n",
            ),
        ),
    ),
    Bug(
        "history is dropped up to the newest snapshot",
        "history",
        "simulation",
        NIGHTS,
        (Edit("perdure.store.files.history", "if following <= whole[0] + 1]", "if following <= whole[-1] + 1]"),),
    ),
    Bug(
        "a result is given before it is on the disk",
        "queue",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.actors.queue.queue",
                "self.synced += self.awaiting.answers(self.events)",
                "self.written += self.awaiting.answers(self.events)",
            ),
        ),
    ),
    Bug(
        "an elastic handler grows past its bound",
        "handlers",
        "simulation",
        NIGHTS,
        (Edit("perdure.events.handlers.registry", "max(low, min(parallelism, high))", "max(low, parallelism)"),),
    ),
    Bug(
        "a handler is not told that its message is cancelled",
        "queue",
        "simulation",
        NIGHTS,
        (Edit("perdure.actors.queue.queue", 'self.written.append(Tell(self.runtime, "dispatcher", stop))', "del stop"),),
    ),
    Bug(
        "of a burst all messages wait",
        "rules",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.publishing",
                "            if waits:\n                events.append(ev.Superseded(waits, by=number))\n",
                "            if waits and not draft.due_us:\n                events.append(ev.Superseded(waits, by=number))\n",
            ),
        ),
    ),
    Bug(
        "a cancelled message is told as a completed one",
        "state",
        "simulation",
        NIGHTS,
        (
            Edit(
                "perdure.events.queue.folds",
                'leave(state, message, message.attempts, "cancelled")',
                "leave(state, message, message.attempts)",
            ),
        ),
    ),
)
