"""The queue's rules against a plain model: which messages are ready, and in which order, out, delayed, held, dead or ended.

Scenario 42's other half: test_law_one shows that all foldings agree with each other, this that they agree with the intention.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.codec.snapshot import States, fold
from perdure.events.commands import (
    Cancel,
    CheckOut,
    Death,
    Done,
    DoneRun,
    Draft,
    DraftRun,
    ExpireLease,
    Extend,
    Fail,
    Publish,
    Purge,
    Release,
    Replay,
    ReplayItem,
    Subscription,
)
from perdure.events.errors import DuplicateKey, LeaseLost, QueueFull
from perdure.events.queue import dead_letters as letters
from perdure.events.queue import deadlines, leasing
from perdure.events.queue import decisions as rules
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.outcomes import complete_run
from perdure.events.queue.state import QueueState
from perdure.events.runs import count, expand
from perdure.events.structures import message_block as block
from perdure.events.structures.message import Status
from perdure.events.structures.message_block import LeaseBatch
from tests.effort import examples
from tests.events.queue.plain_queue import Plain, PlainQueue

BACKLOG, LETTERS, RETRIES = 12, 3, 2
LIMITS = rules.Limits(backlog=BACKLOG, dead_letters=LETTERS)
TYPES = ("a", "b")
FATES = {  # how the queue counts what the model calls it
    "completed": "completed",
    "superseded": "superseded",
    "expired": "expired",
    "cancelled": "cancelled",
}

drafts = st.lists(
    st.tuples(
        st.sampled_from(TYPES),
        st.sampled_from([(None, None), (None, None), ("k", "replace"), ("k", "reject"), ("l", "replace"), ("k", "append")]),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([0, 0, 0, 50]),
        st.sampled_from([0, 0, 0, 80]),
        st.sampled_from([None, None, "g", "h"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


class AgainstThePlainQueue(RuleBasedStateMachine):
    """Each step lets the queue decide and the model follow what happened; the model never copies an answer of the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(block, "BLOCK_MESSAGES", 4)  # so that some are full
        self.state = QueueState(finished_max=10_000)
        self.dead_letters = letters.DeadLettersState()
        self.snapshot, self.since = States(self.state).encode(), list[tuple[int, bytes]]()
        self.plain = PlainQueue()
        self.now_us = 1_000
        self.serial = 0
        self.published: dict[int, ev.Published] = {}
        self.deaths: dict[int, Death] = {}
        self.one_group = False
        """In this history all messages are of one group."""

    @initialize(count=st.integers(0, BACKLOG), one_group=st.sampled_from([False, False, True]))
    def some_wait(self, count: int, one_group: bool) -> None:
        self.one_group = one_group
        if count:
            self.publish([("a", (None, None), 0, 0, 0, None, False)] * count)

    def do(self, command: object) -> list[ev.Event]:
        return self.take(rules.decide(self.state, command, self.now_us, LIMITS))

    def take(self, events: list[ev.Event]) -> list[ev.Event]:
        single_events = expand(events)
        self.published |= {event.number: event for event in single_events if isinstance(event, ev.Published)}
        self.deaths |= {event.number: letters.death(event) for event in single_events if isinstance(event, ev.DeadLettered)}
        for event in single_events:
            letters.evolve(self.dead_letters, event, self.now_us)
        evolve_all(self.state, events)
        if events:
            self.since.append((count(events), wire.encode([(self.now_us, events)])))
        return single_events

    def teardown(self) -> None:
        self.patch.undo()

    @staticmethod
    def place(message: Plain) -> tuple[int, str, int]:
        return message.number, message.id, message.before + message.attempts + 1

    # --- publishing ------------------------------------------------------------------------------------------------------

    @rule(batch=drafts)
    def publish(self, batch: list[tuple[str, tuple[str | None, str | None], int, int, int, str | None, bool]]) -> None:
        known = {m.id for m in self.plain.all}
        made: list[Draft] = []
        for kind, (key, dedup), priority, delay, ttl, group, again in batch:
            self.serial += not (again and self.serial)
            due_us, expires_us = (self.now_us + delay) * bool(delay), (self.now_us + ttl) * bool(ttl)
            made.append(
                Draft(
                    f"id{self.serial}",
                    kind,
                    b"",
                    key,
                    dedup,
                    priority=priority,
                    due_us=due_us,
                    expires_us=expires_us,
                    group="g" if self.one_group else group,
                )
            )
        fresh = list({draft.id: draft for draft in reversed(made) if draft.id not in known}.values())[::-1]
        waiting = len(self.plain.live()) - len(self.plain.out())
        expected: type[Exception] | None = None
        if fresh and waiting + len(fresh) > BACKLOG:
            expected = QueueFull
        elif any(self.is_refused(draft, fresh[:i]) for i, draft in enumerate(fresh)):
            expected = DuplicateKey
        before = self.state.next_number
        if expected is not None:
            with pytest.raises(expected):
                self.do(Publish(made))
            assert self.state.next_number == before
            return
        self.do(Publish(made))
        for i, draft in enumerate(fresh):
            number = before + i
            key = draft.key if draft.dedup != "append" else None
            self.plain.publish(
                Plain(number, draft.id, draft.type, key, draft.group, draft.priority, number, draft.due_us, draft.expires_us)
            )

    def is_refused(self, draft: Draft, before: list[Draft]) -> bool:
        """Return whether its key is held by a live message, or by one published together with it."""
        if draft.dedup != "reject":
            return False
        together = any((d.type, d.key) == (draft.type, draft.key) and d.dedup != "append" for d in before)
        return together or any(self.plain.of_key(draft.type, draft.key, state) is not None for state in ("waiting", "out"))

    @rule(kind=st.sampled_from(TYPES), n=st.integers(1, 5))
    def publish_plain(self, kind: str, n: int) -> None:
        """Many at once, in columns."""
        ids = [f"id{self.serial + 1 + i}" for i in range(n)]
        self.serial += n
        number = self.state.next_number
        if len(self.plain.live()) - len(self.plain.out()) + n > BACKLOG:
            with pytest.raises(QueueFull):
                self.do(Publish(DraftRun(kind, ids, [b""] * n)))
            return
        self.do(Publish(DraftRun(kind, ids, [b""] * n)))
        for i, ident in enumerate(ids):
            self.plain.publish(Plain(number + i, ident, kind, None, None, 0, number + i, 0, 0))

    # --- leases ----------------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(TYPES), lease=st.sampled_from([20, 60]))
    def check_out(self, kind: str, lease: int) -> None:
        line = self.plain.line(kind, self.now_us)
        self.serial += 1
        events = self.do(CheckOut(kind, f"consumer{self.serial}", lease, RETRIES))
        assert [event.number for event in events if isinstance(event, ev.Leased)] == [m.number for m in line[:1]]
        for message in line[:1]:
            self.plain.lease(message, self.now_us + lease, RETRIES, by_hand=True)

    @rule(window=st.integers(0, 4), lease=st.sampled_from([0, 60]))
    def deliver(self, window: int, lease: int) -> None:
        decided = leasing.deliver(self.state, [Subscription(kind, window, 2, RETRIES, lease) for kind in TYPES], self.now_us)
        leases = [event for event in expand(decided) if isinstance(event, ev.Leased)]
        expected = []
        for kind in TYPES:
            room = window - sum(m.type == kind and not m.by_hand for m in self.plain.out())
            expected += self.plain.line(kind, self.now_us)[: max(room, 0)]
        assert [(lease.number, lease.attempt) for lease in leases] == [(m.number, m.before + m.attempts + 1) for m in expected]
        self.take([*decided])
        for message in expected:
            self.plain.lease(message, self.now_us + lease if lease else 0, RETRIES, by_hand=False)

    @precondition(lambda self: self.plain.out())
    @rule(pick=st.integers(0, 99), lease=st.sampled_from([0, 90]))
    def extend(self, pick: int, lease: int) -> None:
        message = self.plain.out()[pick % len(self.plain.out())]
        self.do(Extend(*self.place(message), lease))
        if message.until_us and lease:
            message.until_us = self.now_us + lease

    # --- ends ------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.plain.out())
    @rule(pick=st.integers(0, 99), how=st.sampled_from(["done", "child", "fail", "at once", "reject", "lose", "back"]))
    def report(self, pick: int, how: str) -> None:
        message = self.plain.out()[pick % len(self.plain.out())]
        place = self.place(message)
        match how:
            case "done":
                self.do(Done(*place))
                message.state = "completed"
            case "child":
                # It commits with its parent: where their keys are the same, it need not wait for it.
                self.serial += 1
                child = Draft(f"id{self.serial}", "b", b"", "k", "replace")
                number = self.state.next_number
                self.do(Done(*place, (child,)))
                self.plain.publish(Plain(number, child.id, "b", "k", None, 0, number, 0, 0))
                message.state = "completed"
            case "fail" | "at once":
                delay = 30 if how == "fail" else 0
                self.do(Fail(*place, "E", "m", "t", delay))
                self.plain.fail(message, self.now_us + delay, LETTERS)
            case "reject":
                self.do(Fail(*place, "E", "m", "t", 30, "never"))
                self.plain.fail(message, 0, LETTERS, final=True)
            case "lose":
                self.do(ExpireLease(*place, "gone"))
                self.plain.fail(message, 0, LETTERS)
            case "back":
                self.do(Release(*place, "not started"))
                message.before += 1
                self.plain.back(message)
        self.settle()

    @rule()
    def complete_together(self) -> None:
        """All that went out in lease batches ends at once."""
        lease_batches = {number: held for number, held in self.state.leased.items() if isinstance(held, LeaseBatch)}
        completed = complete_run(self.state, DoneRun([*lease_batches], [*lease_batches.values()])) if lease_batches else []
        assert completed is not None
        self.take(completed)
        for message in self.plain.out():
            if message.number in lease_batches:
                message.state = "completed"

    @precondition(lambda self: self.plain.all)
    @rule(pick=st.integers(0, 99), off=st.sampled_from([-1, 0, 1]), failed=st.booleans())
    def late_report(self, pick: int, off: int, failed: bool) -> None:
        """A report or an extension without the lease changes nothing."""
        message = self.plain.all[pick % len(self.plain.all)]
        number, ident, attempt = self.place(message)
        if message.state == "out" and off == 0:
            return  # that is the holder
        stale = (number, ident, attempt + off)
        events = self.do(Fail(*stale, "E", "m", "t", 0) if failed else Done(*stale))
        assert {type(event) for event in events} <= {ev.LateResultRefused}
        with pytest.raises(LeaseLost):
            self.do(Extend(*stale, 60))

    @precondition(lambda self: self.plain.live())
    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        message = self.plain.live()[pick % len(self.plain.live())]
        self.do(Cancel(message.id, "test"))
        message.state = "cancelled"

    @precondition(lambda self: self.plain.dead)
    @rule(pick=st.integers(0, 99))
    def purge(self, pick: int) -> None:
        message = self.plain.dead[pick % len(self.plain.dead)]
        self.do(Purge([self.deaths[message.number]], "test"))
        self.plain.purge(message)

    @precondition(lambda self: self.plain.dead)
    @rule(pick=st.integers(0, 99))
    def replay(self, pick: int) -> None:
        message = self.plain.dead[pick % len(self.plain.dead)]
        held = any(self.plain.of_key(message.type, message.key, state) is not None for state in ("waiting", "out"))
        item = ReplayItem(self.deaths[message.number], self.published[message.number], 0, [])
        if held:
            with pytest.raises(DuplicateKey):
                self.do(Replay([item]))
            return
        self.do(Replay([item]))
        self.plain.replay(message)
        self.settle()

    @precondition(lambda self: len(self.plain.out()) > 1)
    @rule(pick=st.integers(0, 99), lost=st.booleans())
    def die_and_rise_among_others(self, pick: int, lost: bool) -> None:
        """A message that is replayed at once meets the traces that it left in its ready queue and its group."""
        self.report(pick, "reject")
        if lost and self.plain.out():
            self.report(pick, "lose")
        if self.plain.dead:
            self.replay(len(self.plain.dead) - 1)
        if self.plain.out():
            self.report(pick + 1, "back")

    # --- restarts --------------------------------------------------------------------------------------------------------

    @rule()
    def take_a_snapshot(self) -> None:
        self.snapshot, self.since = States(self.state, dead_letters=self.dead_letters).encode(), []

    @rule()
    def restart(self) -> None:
        """The last snapshot and what came after take the state's place; leases stay in force, as for an actor's successor."""
        recovered = States.decode(self.snapshot)
        for n, body in self.since:
            fold(recovered, wire.decode_runs(body, n), recovered.seq + 1)
        self.state, self.dead_letters = recovered.queue, recovered.dead_letters

    # --- time ------------------------------------------------------------------------------------------------------------

    @rule(step=st.sampled_from([1, 20, 200]))
    def time_passes(self, step: int) -> None:
        self.now_us += step
        self.settle()
        late = [m for m in self.plain.out() if m.until_us and m.until_us <= self.now_us]
        assert sorted(m.number for m in deadlines.overdue(self.state, self.now_us)) == [m.number for m in late]
        for message in sorted(late, key=lambda m: m.number):
            self.do(ExpireLease(*self.place(message), "its lease ran out"))
            self.plain.fail(message, 0, LETTERS)
        self.settle()

    def settle(self) -> None:
        """Have the queue look at the clock, as its actor does after each pass."""
        self.take(deadlines.due(self.state, self.now_us, LIMITS))
        self.plain.time_passes(self.now_us)

    # --- agreement -------------------------------------------------------------------------------------------------------

    @invariant()
    def they_agree_on_where_each_message_is(self) -> None:
        names = {
            Status.LEASED: "out",
            Status.DELAYED: "delayed",
            Status.HELD: "held",
            Status.READY: "ready",
        }
        found = {m.number: (names[m.status], m.attempts, m.until_us) for m in self.state.living()}
        until_us = {m.number: m.until_us if m.state == "out" else 0 for m in self.plain.live()}
        expected = {
            m.number: (self.plain.standing(m, self.now_us), m.before + m.attempts, until_us[m.number]) for m in self.plain.live()
        }
        assert found == expected

    @invariant()
    def they_agree_on_the_order(self) -> None:
        for kind in TYPES:
            everything = Subscription(kind, 1_000, 1_000, RETRIES, 0)
            leases = expand(leasing.deliver(self.state, [everything], self.now_us))
            found = [lease.number for lease in leases if isinstance(lease, ev.Leased)]
            assert found == [m.number for m in self.plain.line(kind, self.now_us)]

    @invariant()
    def they_agree_on_what_has_ended(self) -> None:
        assert list(self.state.dead) == [m.number for m in self.plain.dead]
        fates = Counter((m.type, m.state) for m in self.plain.all)
        for kind in TYPES:
            counts = self.state.counts(kind)
            for fate, name in FATES.items():
                assert getattr(counts, name) == fates[kind, fate], (kind, fate)
            assert counts.published == sum(m.type == kind for m in self.plain.all)

    @invariant()
    def they_agree_on_the_next_deadline(self) -> None:
        """The next deadline is no later than the first thing that time alone brings about."""
        dues = [m.due_us for m in self.plain.live() if m.state == "waiting" and m.due_us > self.now_us]
        ends = [m.expires_us for m in self.plain.live() if m.state == "waiting" and m.expires_us]
        leases = [m.until_us for m in self.plain.out() if m.until_us]
        assert deadlines.next_deadline_us(self.state) <= min(
            [*dues, *ends, *leases], default=deadlines.next_deadline_us(self.state)
        )


AgainstThePlainQueue.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=50, deadline=None)
TestAgainstThePlainQueue = AgainstThePlainQueue.TestCase
