"""The owner's side of a member: what is handed to it, what comes back, and what becomes of it when it dies or falls silent."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.actors.core.messages import Wake
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.delivered import Reported, taken
from perdure.actors.sessions.framing.wire import Assembler, BadFrame, Kind
from perdure.actors.sessions.member_work import member_outcomes, member_session
from perdure.actors.sessions.member_work.member_session import MemberServices, MemberSession
from perdure.actors.workers.pools.handler_pools import HandlerPools
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.actors.workers.pools.worker_messages import PoolChanged
from perdure.actors.workers.reporting import Reporter
from perdure.events.commands import Done, ExpireLease, Fail, Release
from perdure.events.processes.signs_of_life import HEARD_S
from perdure.events.structures.id_index import IdRun
from perdure.events.structures.message_block import LeaseBatch, MessageBlock
from perdure.events.vocabulary import HandlerRegistered, Leased, ProcessJoined, ProcessLeft, Published


class Actors:
    """Takes what the session tells actors and asks of them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.asked: list[tuple[Any, Any]] = []

    def tell(self, name: str, message: Any) -> None:
        self.told.append((name, message))

    def send(self, target: str, command: Any, reply: Any, *, from_outside: bool = True) -> None:
        assert target == "queue"
        assert not from_outside
        self.asked.append((command, reply))

    def confirm(self) -> list[Any]:
        """Answer everything; return the reports that were asked, one by one."""
        asked, self.asked = self.asked, []
        for _, reply in asked:
            reply.resolve(None)
        return [r for outcomes, _ in asked for r in (*(outcomes.done.each() if outcomes.done else ()), *outcomes.reports)]


class Marks:
    def __init__(self, *begun: tuple[int, int]) -> None:
        self.begun = begun

    def has_begun(self, number: int, attempt: int) -> bool:
        return (number, attempt) in self.begun


class Reply:
    def __init__(self) -> None:
        self.answers = 0

    def resolve(self, value: Any) -> None:
        assert value is None
        self.answers += 1

    def reject(self, error: BaseException) -> None:
        raise error

    def total(self) -> int:
        return self.answers


class Owner:
    """A session with one pool of the type T, and the actors behind it."""

    def __init__(self, *begun: tuple[int, int]) -> None:
        actors: Any = Actors()
        self.actors = actors
        self.key = 0
        self.pools = HandlerPools()
        reporter = Reporter(actors, actors)
        services = MemberServices(
            directory=actors, pending=actors, pools=self.pools, reporter=reporter, own_outboxes=lambda: ["bills"]
        )
        marks: Any = Marks(*begun)
        self.session = MemberSession(services, lambda: None, marks, ProcessJoined("run", 7, "name", 1))
        self.subscribe(10, 2)
        (self.pool,) = self.pools.elsewhere

    def subscribe(self, may_be_out: int, slots: int, version: int = 1) -> None:
        registered = OBJECTS.packed(HandlerRegistered("T", 2, 5, 0, 300_000, "replace", "b"))
        self.session.take(Kind.SUBSCRIBE, [[may_be_out, slots, version, registered]])

    def deliver(self, *numbers: int) -> list[WorkerDelivery]:
        block = MessageBlock(numbers[0], "T")
        for number in numbers:
            block.add(number, IdRun("0" * 24, number, 1), [b"%d" % number], 1)
        lease = LeaseBatch(block, 17, 5, False, numbers, len(numbers))
        deliveries = [WorkerDelivery(number, lease, b"%d" % number) for number in numbers]
        self.pool.deliver(deliveries)
        return deliveries

    def report(self, done: list[int], *reports: Any) -> Reply:
        reply = Reply()
        self.key += 1
        self.session.outcomes.report(self.key, Reported(done, list(reports)), reply)
        return reply

    def reattach(self) -> Any:
        """Return the reply to what the queue is asked."""
        self.session.take(Kind.REATTACH, [["T", []]])
        ((_, reply),), self.actors.asked = self.actors.asked, []
        return reply

    def sent(self) -> list[tuple[Kind, list[Any]]]:
        return [frame for data in self.session.frames() for frame in Assembler().feed(data)]


def test_what_is_delivered_goes_there_and_what_comes_back_is_confirmed() -> None:
    owner = Owner()
    owner.deliver(4, 5, 6)
    ((kind, elements),) = owner.sent()
    assert kind is Kind.DELIVER
    assert [delivery.number for delivery in taken(elements[0], elements[1], elements[2], OBJECTS.object)] == [4, 5, 6]
    failed = Fail(5, "0" * 24 + f"{5:012x}", 1, "E", "m", "t", 0)
    reply = owner.report([4, 6], failed)
    assert owner.pool.open.keys() == {4, 5, 6}, "until it is on record"
    assert reply.answers == 0
    reports = owner.actors.confirm()
    assert [type(report) for report in reports] == [Done, Done, Fail]
    assert not owner.pool.open
    assert reply.total() == 1
    assert (owner.pool.processed, owner.pool.failed) == (3, 1)


def test_what_ends_before_the_queue_has_said_whose_it_is_waits_for_that() -> None:
    """As hearsay it would be refused, and the delivery, which the pool has from then on, would stay out without an end."""
    owner = Owner()
    ident = "0" * 24 + f"{4:012x}"
    owner.session.take(Kind.REATTACH, [["T", [[4, ident, 1]]]])
    ((_, reattach),), owner.actors.asked = owner.actors.asked, []
    replies = [owner.report([], Done(4, ident, 1)), owner.report([], Fail(9, "other", 1, "E", "m", "t", 0))]
    assert owner.actors.asked == [], "neither overtakes the other"
    owner.deliver(4)  # as the queue does, before it answers
    reattach.resolve([])
    owner.sent()
    (of_pool, _), (hearsay, _) = owner.actors.asked
    assert (of_pool.reports, of_pool.is_hearsay) == ([Done(4, ident, 1)], False)
    assert [report.number for report in hearsay.reports] == [9]
    assert hearsay.is_hearsay
    owner.actors.confirm()
    assert not owner.pool.open
    assert [reply.answers for reply in replies] == [1, 1]


def test_what_waits_for_the_queue_has_a_bound_and_what_is_forgotten_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that forgot each of its requests and sent another filled the memory of the owner."""
    monkeypatch.setattr(member_outcomes, "WAITING_MAX", 4)
    owner = Owner()
    reattach = owner.reattach()
    for _ in range(9):
        owner.report([1, 2, 3])
        owner.session.outcomes.forget(owner.key)
    owner.report([4, 5, 6])
    owner.report([])
    with pytest.raises(BadFrame, match="more than 4 outcomes"):
        owner.report([])
    owner.deliver(1, 2, 3, 4, 5, 6)
    reattach.resolve([])
    owner.sent()
    assert [report.number for report in owner.actors.confirm()] == [4, 5, 6]
    again = owner.reattach()
    owner.report([1])
    again.resolve([])
    owner.sent()
    owner.report([2, 3])
    assert [report.number for report in owner.actors.confirm()] == [1, 2, 3], "what was sent on does not count any more"


def test_what_ends_waits_until_the_queue_has_answered_each_time_that_it_was_asked() -> None:
    owner = Owner()
    owner.deliver(4)
    replies = [owner.reattach(), owner.reattach()]
    owner.report([4])
    for reply, expected in zip(replies, ([], [4]), strict=True):
        reply.resolve([])
        owner.sent()
        assert [report.number for report in owner.actors.confirm()] == expected


def test_of_what_a_dead_process_had_only_what_it_had_begun_counts() -> None:
    owner = Owner((4, 1), (6, 2))
    owner.deliver(4, 5, 6, 7)
    owner.report([7])
    owner.session.close()
    reports = owner.actors.confirm()
    assert {(type(report), report.number) for report in reports} == {(Done, 7), (ExpireLease, 4), (Release, 5), (Release, 6)}
    assert not owner.pool.open
    assert [message.pool.is_gone for name, message in owner.actors.told if name == "dispatcher"] == [True, True]
    assert [type(event) for name, event in owner.actors.told if name == "supervisor"] == [ProcessJoined, ProcessLeft]


def test_what_is_delivered_to_a_process_that_has_just_died_goes_back() -> None:
    owner = Owner()
    owner.session.close()
    owner.deliver(4)
    assert [type(report) for report in owner.actors.confirm()] == [Release]
    assert not owner.pool.open


def test_a_result_of_what_was_taken_back_is_left_to_the_rules() -> None:
    owner = Owner()
    (delivery,) = owner.deliver(4)
    owner.pool.revoke(delivery)
    assert [kind for kind, _ in owner.sent()][-1:] == [Kind.REVOKE]
    reply = owner.report([4])
    (report,) = owner.actors.confirm()
    assert report == Done(*delivery.attempt_ref)
    assert reply.answers == 1


def test_a_completion_by_number_is_none_of_a_later_attempt() -> None:
    owner = Owner()
    again = WorkerDelivery(4, Leased(4, 2, 0, 5), b"", Published(4, "x", "T", b""))
    owner.pool.deliver([again])
    owner.report([4])
    assert not owner.actors.confirm()
    assert again.outcome is None


def test_a_report_of_another_attempt_settles_no_delivery() -> None:
    owner = Owner()
    (delivery,) = owner.deliver(4)
    owner.report([], Fail(4, delivery.id, 2, "E", "m", "t", 0))
    assert [report.attempt for report in owner.actors.confirm()] == [2], "the rules refuse it"
    assert owner.pool.open == {4: delivery}


def test_what_a_member_gives_back_it_may_say_again() -> None:
    owner = Owner()
    (delivery,) = owner.deliver(4)
    owner.report([], Release(*delivery.attempt_ref, "its handler is paused"))
    owner.report([], Release(*delivery.attempt_ref, "its handler is paused"))
    assert owner.actors.confirm() == 2 * [Release(*delivery.attempt_ref, "its handler is paused")]


def test_a_report_about_nothing_is_answered() -> None:
    assert Owner().report([]).answers == 1


def test_a_silent_process_gets_nothing_until_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, now = Owner(), [0.0]
    monkeypatch.setattr(member_session.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]  # the module that it imports
    owner.session.heard()
    now[0] = HEARD_S - 0.1
    owner.session.look()
    assert not owner.pool.is_silent
    now[0] = HEARD_S + 0.1
    owner.session.look()
    assert owner.pool.is_silent
    assert not owner.session.is_heard(0.3)
    assert owner.session.is_heard(30.0), "a lease is renewed for as long as it was heard within its length"
    owner.session.heard()
    assert not owner.pool.is_silent
    assert [type(message) for name, message in owner.actors.told if name == "dispatcher"] == [PoolChanged] * 3


def test_a_process_relays_an_outbox_while_it_is_heard_and_has_the_owner_look_into_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, now = Owner(), [0.0]
    monkeypatch.setattr(member_session.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]  # the module that it imports
    owner.session.heard()
    owner.session.take_ping([["orders", 1], ["bills", 0]])
    assert owner.session.relayed() == {"orders": 1}
    assert not any(name == "relay" for name, _ in owner.actors.told)
    owner.session.take_ping([["orders", 1], ["bills", 1]])
    assert [type(message) for name, message in owner.actors.told if name == "relay"] == [Wake]
    now[0] = HEARD_S
    assert owner.session.relayed() == {}


def test_a_lease_that_has_run_out_is_asked_about_once_at_a_time() -> None:
    owner = Owner()
    for _ in range(20):  # as often as the queue says it
        owner.session.overdue("T", (4, "x", 1, 17))
    assert owner.sent() == [(Kind.OVERDUE, ["T", 4, "x", 1, 17])]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (Kind.SUBSCRIBE, [-1, 2, 1, b"\xc0"]),
        (Kind.SUBSCRIBE, [1, 2, 1, b"\xc0"]),
        (Kind.SUBSCRIBE, [1, 1 << 40, 1, b"\xc0"]),
        (Kind.SUBSCRIBE, "no row"),
        (Kind.REATTACH, ["other", []]),
        (Kind.REATTACH, ["T", [[1, 2, 3]]]),
    ],
)
def test_a_frame_that_is_none_ends_the_connection(kind: Kind, row: Any) -> None:
    with pytest.raises(BadFrame):
        Owner().session.take(kind, [row])


def test_only_outcomes_are_reported() -> None:
    with pytest.raises(BadFrame, match="no outcome"):
        Owner().report([], "anything else")


def test_large_deliveries_go_in_parts_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_session, "DELIVER_BYTES", 3)
    owner = Owner()
    owner.deliver(*range(10, 20))  # two bytes each
    assert [len(elements[1][0][-1]) for _, elements in owner.sent()] == [2, 2, 2, 2, 2]
    owner.deliver(*range(20, 30))
    assert len(owner.session.frames(0)) == 0
    assert len(owner.session.frames(1)) == 1
    assert len(owner.sent()) == 5
