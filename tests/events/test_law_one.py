"""Scenario 42 and law 1: whatever happens, at every prefix of the log the live state is the fold of that prefix.

Hypothesis drives every command of the queue; beside it runs a plain model that only knows where each message must be.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.codec.queue_snapshot import dump_queue
from perdure.events.codec.snapshot import States, fold
from perdure.events.commands import (
    Cancel,
    CheckOut,
    Done,
    DoneRun,
    Draft,
    DraftRun,
    ExpireLease,
    Extend,
    Fail,
    Publish,
    Purge,
    ReassertLease,
    Release,
    Replay,
    ReplayItem,
    Subscription,
    Tick,
)
from perdure.events.errors import DuplicateKey, LeaseLost, QueueFull
from perdure.events.queue import deadlines, leasing, rates
from perdure.events.queue import decisions as rules
from perdure.events.queue.dead_letters import death
from perdure.events.queue.folding.folds import evolve, evolve_all
from perdure.events.queue.folding.spilling import compact
from perdure.events.queue.invariants import contradictions
from perdure.events.queue.outcomes import complete_run
from perdure.events.queue.state import QueueState
from perdure.events.runs import CompletedRun, count, expand
from perdure.events.structures import message_block as block
from perdure.events.structures.id_index import IdRun
from perdure.events.structures.message_block import LeaseBatch
from perdure.events.structures.past_ids import PastIds
from tests.effort import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.structures.message_block import Payloads

LIMITS = rules.Limits(backlog=40, dead_letters=5, results=4, held_keys=3)
TYPES = ("a", "b")
KEYS = st.sampled_from([None, None, "k1", "k2"])
RETRIES = 2


def _plainly(state: QueueState) -> dict[str, Any]:
    """Return a state as plain values, the ids of blocks one by one: in how many pieces they came is of no meaning."""
    dump = dump_queue(state)
    for row in dump["parcels"]:
        row[2] = [ident for chunk in row[2] for ident in (IdRun(*chunk) if isinstance(chunk[-1], int) else chunk)]
    return dump


class _Spilled(tuple[bytes, ...]):
    """As payloads on the disk, without one."""

    __slots__ = ()

    def length(self, i: int) -> int:
        return len(self[i])


class _PayloadSpill:
    """As if all that was ever put there still took up room, and half of it were to be moved."""

    size = 1 << 40

    def put(self, payloads: list[bytes]) -> _Spilled:
        return _Spilled(payloads)

    def sparse(self, live: Sequence[tuple[Payloads, int]]) -> list[bool]:
        return [i % 2 == 0 for i in range(len(live))]


class QueueMachine(RuleBasedStateMachine):
    """All commands, moving time, process deaths; all foldings of the same events must agree.

    One by one; in runs, with a spill for payloads; from bytes, and on from snapshots.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(block, "BLOCK_MESSAGES", 4)  # so that some are full
        self.patch.setattr(block, "BLOCK_BYTES", 60)
        self.live = QueueState(finished_max=8, past=PastIds(16))
        self.in_runs = QueueState(finished_max=8, past=PastIds(16), spill=_PayloadSpill(), resident_max=20)
        self.replayed = States(QueueState(finished_max=8, past=PastIds(16)))
        self.snapshot = self.replayed.encode()
        self.restarted = False
        self.since: list[tuple[int, int, bytes]] = []
        """The frames after it: first sequence number, count, body."""
        self.now_us = 1_000
        self.serial = 0
        self.published: set[int] = set()
        self.ended: dict[int, str] = {}
        self.letters: dict[int, ev.DeadLettered] = {}
        self.asked: set[str] = set()
        self.subscribed = [Subscription("a", 3, 2, RETRIES, 0), Subscription("b", 3, 2, RETRIES, 0, 20, 2)]

    def teardown(self) -> None:
        self.patch.undo()

    def do(self, command: object) -> list[ev.Event]:
        return self.take(rules.decide(self.live, command, self.now_us, LIMITS))

    def take(self, events: list[ev.Event]) -> list[ev.Event]:
        """Fold live, fold again from bytes, and keep the plain model."""
        for event in expand(events):
            evolve(self.live, event)
            match event:
                case ev.Published(number=number):
                    assert number not in self.published, "a number is never given twice"
                    self.published.add(number)
                case ev.DeadLettered(number=number):
                    assert self.ended.setdefault(number, "dead") == "dead"
                    self.letters[number] = event
                case ev.Replayed(number=number):
                    assert self.ended.pop(number) == "dead"
                    del self.letters[number]
                case ev.Purged(number=number):
                    assert self.ended[number] == "dead"
                    self.ended[number] = "purged"
                    del self.letters[number]
                case (
                    ev.Completed(number=number)
                    | ev.Superseded(number=number)
                    | ev.Expired(number=number)
                    | ev.Cancelled(number=number)
                ):
                    assert number not in self.ended, "what has ended stays ended"
                    self.ended[number] = type(event).__name__
                case ev.Leased(number=number, attempt=attempt, uncounted=uncounted):
                    assert number not in self.ended
                    message = self.live.look(number)
                    assert message is not None
                    reset = message.failures is None or message.attempts - message.forgiven <= RETRIES
                    assert not reset or attempt - uncounted <= RETRIES + 1, "attempts that count never exceed retries + 1"
        evolve_all(self.in_runs, events)
        if events:
            body = wire.encode([(self.now_us, events)])
            self.since.append((self.replayed.seq + 1, count(events), body))
            fold(self.replayed, wire.decode_runs(body, count(events)), self.replayed.seq + 1)
        return events

    def out(self) -> list[Any]:
        return list(self.live.all_out())

    @rule(
        data=st.lists(
            st.tuples(
                st.sampled_from(TYPES),
                KEYS,
                st.sampled_from(["replace", "reject", "append"]),
                st.sampled_from([0, 0, 1]),
                st.sampled_from([0, 0, 50]),
                st.sampled_from([0, 0, 80]),
                st.sampled_from([None, None, "g"]),
                st.booleans(),
                st.sampled_from([None, None, ev.Extras(result_us=90), ev.Extras(window_us=70), ev.Extras(key_parallelism=1)]),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def publish(self, data: list[tuple[str, str | None, str, int, int, int, str | None, bool, ev.Extras | None]]) -> None:
        drafts = []
        for kind, key, dedup, priority, delay, ttl, group, again, extras in data:
            bound_to_key = extras is not None and bool(extras.window_us or extras.key_parallelism)
            if extras is not None and ((bound_to_key and key is None) or (extras.key_parallelism and dedup != "append")):
                extras = None  # noqa: PLW2901 - the front door lets no such message in
            self.serial += not (again and self.serial)
            drafts.append(
                Draft(
                    f"id{self.serial}",
                    kind,
                    b"x" * self.serial,
                    key,
                    dedup if key else None,
                    priority=priority,
                    due_us=self.now_us + delay if delay else 0,
                    expires_us=self.now_us + ttl if ttl else 0,
                    group=group,
                    extras=extras,
                )
            )
            if extras is not None and extras.result_us:
                self.asked.add(f"id{self.serial}")
        before = dump_queue(self.live)
        try:
            self.do(Publish(drafts))
        except (DuplicateKey, QueueFull):
            assert dump_queue(self.live) == before, "a refusal changes nothing"

    @rule()
    def go_on_from_a_snapshot(self) -> None:
        """What a snapshot gave must not only look the same, it must also go on in the same way."""
        self.replayed = States.decode(self.replayed.encode())

    @rule()
    def take_a_snapshot(self) -> None:
        self.snapshot, self.since = self.replayed.encode(), []

    @rule()
    def restart(self) -> None:
        """The process is gone: its heir knows the last snapshot and the frames after it, and from there the history goes on."""
        recovered = States.decode(self.snapshot)
        for first_seq, n, body in self.since:
            fold(recovered, wire.decode_runs(body, n), first_seq)
        assert recovered.seq == self.replayed.seq
        assert _plainly(recovered.queue) == _plainly(self.live)
        assert recovered.queue.by_type == self.live.by_type
        self.live, self.restarted = recovered.queue, True
        self.process_dies()

    @rule(kind=st.sampled_from(TYPES), n=st.integers(1, 5), in_a_row=st.booleans())
    def publish_plain(self, kind: str, n: int, in_a_row: bool) -> None:
        """Many at once, with ids that perdure made."""
        first = self.serial + 1
        self.serial += n
        ids = IdRun("01234567-89ab-7000-8000-", first, n)
        payloads = [b"y" * (first + i) for i in range(n)]
        with suppress(QueueFull):
            self.do(Publish(DraftRun(kind, ids if in_a_row else ids.strings(), payloads), fresh=True))
            assert self.do(Publish(DraftRun(kind, ids, payloads))) == [], "published again it adds nothing"

    @rule()
    def deliver(self) -> None:
        decided = leasing.deliver(self.live, self.subscribed, self.now_us)
        leases = [lease for lease in expand(decided) if isinstance(lease, ev.Leased)]
        assert len({lease.number for lease in leases}) == len(leases)
        limited = [lease for lease in leases if (m := self.live.look(lease.number)) is not None and m.published.type == "b"]
        assert len(limited) <= 2, "a burst is bounded"
        self.take([*decided])
        if limited:
            self.take([rates.pace(self.live, self.subscribed[1], len(limited), self.now_us)])

    @precondition(lambda self: self.live.leased)
    @rule()
    def report_together(self) -> None:
        lease_batches = {number: held for number, held in self.live.leased.items() if isinstance(held, LeaseBatch)}
        if not lease_batches:
            return
        run = DoneRun([*lease_batches], [*lease_batches.values()])
        twice = DoneRun([*lease_batches, *lease_batches], [*lease_batches.values(), *lease_batches.values()])
        assert complete_run(self.live, twice) is None, "a repeated report is looked at by itself"
        completed = complete_run(self.live, run)
        assert completed is not None
        one_by_one = [event for report in run.each() for event in rules.decide(self.live, report, self.now_us, LIMITS)]
        assert [type(event) for event in completed] == [CompletedRun]
        assert expand(self.take(completed)) == one_by_one
        assert complete_run(self.live, run) is None
        assert [rules.decide(self.live, report, self.now_us, LIMITS) for report in run.each()] == [[]] * len(lease_batches)

    @precondition(lambda self: self.live.live)
    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        message = list(self.live.living())[pick % self.live.live]
        lease = message.lease
        self.do(Cancel(message.published.id, "test"))
        assert self.do(Cancel(message.published.id, "test")) == []
        if lease is not None:
            (late,) = self.do(Done(message.number, message.published.id, lease.attempt))
            assert isinstance(late, ev.LateResultRefused)

    @rule(back=st.booleans(), empty=st.booleans(), begins=st.booleans())
    def tick_of_a_schedule(self, back: bool, empty: bool, begins: bool) -> None:
        due_us = self.now_us - 10 if back else self.now_us
        draft = None if empty else Draft(f"tick@{due_us}", "a", b"")
        known = self.live.ticks.get("s", 0)
        events = self.do(Tick("s", due_us, draft, 0 if begins else known))
        assert bool(events) == (due_us > known and not (known and begins)), "each tick counts once, the beginning too"

    @rule(kind=st.sampled_from(TYPES))
    def check_out(self, kind: str) -> None:
        self.serial += 1
        assert len(self.do(CheckOut(kind, f"consumer{self.serial}", 60, RETRIES))) <= 1

    @precondition(lambda self: self.live.leased)
    @rule(
        pick=st.integers(0, 99), how=st.sampled_from(["done", "child", "fail", "reject", "lose", "back", "extend", "stale", "out"])
    )
    def report(self, pick: int, how: str) -> None:
        message = self.out()[pick % len(self.out())]
        place = (message.number, message.published.id, message.lease.attempt)
        match how:
            case "done":
                self.do(Done(*place))
                assert self.do(Done(*place)) == [], "a repeated report counts once"
            case "child":
                self.serial += 1
                self.do(Done(*place, (Draft(f"id{self.serial}", "b", b"", "k1", "replace"),)))
            case "fail" | "reject":
                self.do(Fail(*place, "E", "m", "t", 30, "never" if how == "reject" else None))
            case "lose":
                self.do(ExpireLease(*place, "gone"))
            case "back":
                self.do(Release(*place, "not started"))
            case "extend":
                self.do(Extend(*place, 60, 50.0, "half"))
            case "out":
                assert self.do(ReassertLease(*place[:2], message.lease)) == []
                events = self.do(ReassertLease(*place[:2], ev.Leased(place[0], place[2] + 1, 0, RETRIES)))
                assert isinstance(events[0], ev.LeaseExpired)
            case "stale":
                events = self.do(Done(place[0], place[1], place[2] + 1))
                assert [type(event) for event in events] == [ev.LateResultRefused]

    @rule(step=st.sampled_from([1, 40, 200]))
    def time_passes(self, step: int) -> None:
        self.now_us += step
        self.take(deadlines.due(self.live, self.now_us))
        for message in list(deadlines.overdue(self.live, self.now_us)):
            assert message.lease is not None
            self.do(ExpireLease(message.number, message.published.id, message.lease.attempt, "overdue"))
        self.take(deadlines.due(self.live, self.now_us))  # what came back may have outlived its time
        assert deadlines.next_deadline_us(self.live) > self.now_us

    @rule()
    def process_dies(self) -> None:
        for orphan in deadlines.orphans(self.live):
            self.do(orphan)
        assert not self.live.leased

    @precondition(lambda self: self.letters)
    @rule(pick=st.integers(0, 99), purge=st.booleans())
    def replay_or_purge(self, pick: int, purge: bool) -> None:
        letter = list(self.letters.values())[pick % len(self.letters)]
        if purge:
            self.do(Purge([death(letter)], "test"))
            return
        try:
            self.do(Replay([ReplayItem(death(letter), letter.published, 0, [])]))
        except DuplicateKey:
            assert letter.published.key is not None

    @rule()
    def extend_of_nothing(self) -> None:
        try:
            self.do(Extend(10**9, "nobody", 1, 10))
        except LeaseLost:
            return
        msg = "a lease that is not there cannot be extended"
        raise AssertionError(msg)

    @invariant()
    def live_state_is_the_fold(self) -> None:
        assert _plainly(self.replayed.queue) == _plainly(self.live)
        assert _plainly(self.in_runs) == _plainly(self.live)
        assert self.in_runs.by_type == self.live.by_type
        assert self.in_runs.payload_bytes == self.live.payload_bytes
        assert {m.number: m.status for m in self.in_runs.living()} == {m.number: m.status for m in self.live.living()}
        if not self.restarted:  # how a ready queue is kept is no part of the state; its order is
            in_runs, live = ({n: m.queue_part for n, m in s.messages.items()} for s in (self.in_runs, self.live))
            assert in_runs == live
        for kind in TYPES:
            everything = [Subscription(kind, 1_000, 1_000, RETRIES, 0)]
            next_out = expand(leasing.deliver(self.live, everything, self.now_us))
            assert expand(leasing.deliver(self.in_runs, everything, self.now_us)) == next_out

    @invariant()
    def nothing_contradicts_itself(self) -> None:
        """What a start looks at (scenario 57) is true at every prefix."""
        assert contradictions(self.replayed.queue, self.replayed.dead_letters) == []
        assert contradictions(self.live, self.replayed.dead_letters) == []

    @invariant()
    def bounds_are_kept(self) -> None:
        assert len(self.live.results) <= LIMITS.results + 8, "one pass may pass the bound by what it ended"
        assert len(self.live.held_keys) <= LIMITS.held_keys
        assert set(self.live.results) <= self.asked

    @invariant()
    def snapshot_and_back_is_the_same(self) -> None:
        again = States.decode(States(self.live).encode()).queue
        assert _plainly(again) == _plainly(self.live)
        assert again.by_type == self.live.by_type
        assert {m.number: m.status for m in again.living()} == {m.number: m.status for m in self.live.living()}
        assert again.payload_bytes == self.live.payload_bytes == sum(len(m.published.payload) for m in self.live.living())
        for number in self.published:
            if (message := self.live.look(number)) is not None:
                assert again.ids.get(message.published.id) == self.live.ids.get(message.published.id) == number

    @rule()
    def move_on_what_is_spilled(self) -> None:
        """Which changes nothing but where payloads are."""
        while compact(self.in_runs):
            pass

    @invariant()
    def spilled_bytes_are_counted(self) -> None:
        for state in (self.in_runs, States.decode(States(self.live).chunks(), spill=_PayloadSpill(), resident_max=20).queue):
            assert _plainly(state) == _plainly(self.live)
            assert state.spilled_bytes == sum(p.spilled_bytes for p in state.blocks.values())
            for p in state.blocks.values():
                places = [
                    i
                    for i, n in enumerate(p.numbers)
                    if n not in state.messages and (isinstance(state.leased.get(n), LeaseBatch) or not p.has_left(i))
                ]
                assert p.spilled_bytes == (p.bytes_of(places) if p.is_spilled else 0)

    @invariant()
    def each_message_is_in_one_place(self) -> None:
        live = {message.number for message in self.live.living()}
        assert len(live) == self.live.live
        assert live.isdisjoint(self.ended)
        assert live | set(self.ended) == self.published
        assert set(self.live.dead) == {n for n, how in self.ended.items() if how == "dead"}
        counts = self.live.by_type.values()
        assert sum(c.ready + c.delayed + c.held + c.in_flight for c in counts) == len(live)
        assert len(self.live.dead) <= LIMITS.dead_letters

    @invariant()
    def one_out_per_key_and_group(self) -> None:
        keys = [(m.published.type, m.published.key) for m in self.out() if m.published.key and m.published.dedup != "append"]
        groups = [m.published.group for m in self.out() if m.published.group]
        assert len(keys) == len(set(keys))
        assert len(groups) == len(set(groups))
        limited = [
            (m.published.type, m.published.key) for m in self.out() if m.published.extras and m.published.extras.key_parallelism
        ]
        assert len(limited) == len(set(limited)), "a key limited to one has one out"


QueueMachine.TestCase.settings = settings(max_examples=examples(300), stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase
