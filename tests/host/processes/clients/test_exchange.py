"""What passes between a client and its owner, without a socket: frames and times go in, frames come out."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.actors.core.threads.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.wire import PROTOCOL, Assembler, Kind
from perdure.events.commands import DraftRun, LookUp, Publish
from perdure.events.errors import NotRunning, PerdureError, PublishTimeout, QueueFull
from perdure.events.processes.signs_of_life import HEARD_S
from perdure.events.structures.id_index import IdRun
from perdure.processes.to_owner.exchange import HOLD_S, QUESTIONS_MAX, Exchange
from perdure.processes.to_owner.no_owner import NoAnswer
from perdure.processes.to_owner.waiting import SPOOL_AFTER_S, SPOOL_SILENT_S
from perdure.publishing.publish_future import PublishFuture


class Side:
    """A client's side of the wire; `now_s` is its clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.facts: list[dict[str, Any]] = []
        self.pending = PendingRequests(lambda _target, request: self.exchange.ask(request, self.now_s))
        self.exchange = Exchange("test", 10.0, self.pending, self.facts.append, lambda: NoAnswer("nothing listens", ""))
        self._counter = 0

    def welcome(self) -> Side:
        self.exchange.take(Kind.WELCOME, [PROTOCOL, {}], self.now_s)
        return self

    def publish(self) -> Answer:
        self._counter += 1
        answer = Answer()
        run = DraftRun("t", IdRun("p" * 24, self._counter, 1), [b"x"])
        self.pending.send("queue", Publish(run, fresh=True), answer)
        return answer

    def submit(self, n: int) -> list[PublishFuture[str]]:
        futures: list[PublishFuture[str]] = [PublishFuture() for _ in range(n)]
        for future in futures:
            self.pending.submit("t", b"x", future, lambda count: IdRun("p" * 24, 1000, count))
        return futures

    def sent(self) -> list[tuple[Kind, list[Any]]]:
        """What is sent now, where anything is ready."""
        frames = self.exchange.frames(self.now_s) if self.exchange.is_ripe(self.now_s) else []
        return list(Assembler().feed(b"".join(frames)))

    def keys(self) -> list[int]:
        """The requests that are sent now."""
        return [row[0] for kind, rows in self.sent() if kind is Kind.ASK for row in rows]

    def answer(self, key: int, value: Any = None) -> None:
        self.exchange.take(Kind.ANSWER, [[key, OBJECTS.packed(value)]], self.now_s)


def test_nothing_is_sent_before_the_owners_welcome_and_all_after_it_in_order() -> None:
    side = Side()
    for _ in range(3):
        side.publish()
    assert side.sent() == []
    assert side.welcome().keys() == sorted(side.pending.outstanding)


def test_two_frames_may_be_unanswered_and_an_answer_releases_what_was_gathered() -> None:
    side = Side().welcome()
    sent = []
    for _ in range(5):
        side.publish()
        sent.append(side.keys())
    assert [len(keys) for keys in sent] == [1, 1, 0, 0, 0]
    side.answer(sent[0][0])
    assert len(side.keys()) == 3, "in one frame"


def test_publishes_that_wait_for_room_hold_up_nothing_for_long() -> None:
    side = Side().welcome()
    for _ in range(3):
        side.publish()
        side.sent()
    assert side.keys() == []
    side.now_s += HOLD_S
    assert len(side.keys()) == 1


def test_what_is_no_publish_is_sent_at_once_with_all_before_it() -> None:
    side = Side().welcome()
    for _ in range(3):
        side.publish()
        side.sent()
    side.pending.send("queue", LookUp("id"), Answer())
    assert len(side.keys()) == 2


def test_the_next_owner_is_sent_what_has_no_answer_and_how_often_it_was_sent() -> None:
    side = Side().welcome()
    first, second = side.publish(), side.publish()
    keys = [key for _, rows in side.sent() for key, *_ in rows]
    side.answer(keys[0])
    assert first.wait(0) is None
    side.exchange.lost()
    side.publish()
    assert side.sent() == []
    ((_, rows),) = side.welcome().sent()
    assert [(key, times) for key, times, *_ in rows] == [(keys[1], 2), (keys[1] + 257, 1)]
    side.answer(keys[1])
    assert second.wait(0) is None


def test_first_frames_go_to_every_owner_before_what_is_asked() -> None:
    side = Side()
    side.exchange.first_frames.append(lambda: [side.exchange.hello()])
    side.publish()
    for _ in range(2):
        assert [kind for kind, _ in side.welcome().sent()] == [Kind.HELLO, Kind.ASK]
        side.exchange.lost()


def test_a_posted_frame_is_for_this_owner_alone() -> None:
    side = Side().welcome()
    side.exchange.post(side.exchange.hello())
    assert [kind for kind, _ in side.sent()] == [Kind.HELLO]
    side.exchange.post(side.exchange.hello())
    side.exchange.lost()
    side.exchange.post(side.exchange.hello())
    assert side.welcome().sent() == []


def test_a_part_takes_frames_of_its_own() -> None:
    side = Side().welcome()
    taken: list[list[Any]] = []
    side.exchange.takers[Kind.ASK] = taken.append
    side.exchange.take(Kind.ASK, [1, 2], side.now_s)
    assert taken == [[1, 2]]
    with pytest.raises(ValueError, match="takes from no owner"):
        side.exchange.take(Kind.FORGET, [1], side.now_s)


def test_submitted_messages_that_do_not_fit_together_are_answered_one_by_one() -> None:
    side = Side().welcome()
    futures = side.submit(3)
    ((_, rows),) = side.sent()
    ((key, _times, _actor, _body, mark),) = rows
    assert mark == 1
    side.answer(key + 2)
    assert [future.done() for future in futures] == [False, True, False]
    assert side.pending.under_way == 2
    side.answer(key + 1)
    side.answer(key + 3, QueueFull("full"))
    assert futures[0].result(0)
    with pytest.raises(QueueFull):
        futures[2].result(0)
    assert side.pending.under_way == 0


def test_what_is_left_of_submitted_messages_goes_to_the_next_owner() -> None:
    side = Side().welcome()
    futures = side.submit(3)
    ((_, rows),) = side.sent()
    key = rows[0][0]
    side.answer(key + 1)
    side.exchange.lost()
    assert side.welcome().keys() == [key + 2, key + 3]
    side.answer(key + 2)
    side.answer(key + 3)
    assert len({future.result(0) for future in futures}) == 3


def test_an_answer_under_a_key_that_nothing_has_is_nothing() -> None:
    side = Side().welcome()
    side.publish()
    (key,) = side.keys()
    for other in (0, key + 1, key + 257, -5):
        side.answer(other)
    assert list(side.pending.outstanding) == [key]


def test_silence_becomes_an_error_that_says_whether_there_is_doubt() -> None:
    side = Side().welcome()
    sent = side.publish()
    side.sent()
    asked = Answer()
    side.pending.send("queue", LookUp("id"), asked)
    side.now_s += 9.9
    side.exchange.expire(side.now_s)
    assert side.pending.under_way == 2
    side.exchange.lost()
    never_sent = side.publish()
    side.now_s += 10
    side.exchange.expire(side.now_s)
    with pytest.raises(PublishTimeout, match="may or may not"):
        sent.wait(0)
    for answer in (asked, never_sent):
        with pytest.raises(NotRunning, match="nothing listens"):
            answer.wait(0)


def test_an_owner_that_is_silent_is_asked_whether_it_is_alive_and_told_what_is_awaited_no_more() -> None:
    side = Side().welcome()
    side.publish()
    side.sent()
    assert side.exchange.housekeeping(side.now_s) == []
    side.now_s += 2
    assert [kind for kind, _ in Assembler().feed(b"".join(side.exchange.housekeeping(side.now_s)))] == [Kind.PING]
    assert side.exchange.housekeeping(side.now_s) == []
    (request,) = side.pending.outstanding.values()
    side.pending.forget(request)
    ((kind, keys),) = Assembler().feed(b"".join(side.exchange.housekeeping(side.now_s)))
    assert (kind, keys) == (Kind.FORGET, [request.key])


def test_a_refusal_of_the_owner_is_kept_for_the_errors() -> None:
    side = Side()
    with pytest.raises(ConnectionResetError):
        side.exchange.take(Kind.BYE, [OBJECTS.packed(PerdureError("another version"))], side.now_s)
    assert side.exchange.refusal == "another version"


def test_a_client_that_spools_never_says_that_its_ids_are_new() -> None:
    side = Side().welcome()
    side.publish()
    side.exchange.spools = True
    side.publish()
    is_fresh = [OBJECTS.object(row[3]).fresh for _, rows in side.sent() for row in rows]
    assert is_fresh == [False, False], "an owner that was silent may have them from the spool by the time that it reads this"


def test_publishes_are_spooled_when_there_is_no_owner_for_a_while_and_nothing_else_is() -> None:
    side = Side()
    side.exchange.lost(side.now_s)
    side.publish()
    side.submit(3)
    side.pending.send("queue", LookUp("id"), Answer())
    assert side.exchange.to_spool(side.now_s) == []
    assert 0 < side.exchange.until_spool_s(side.now_s) <= SPOOL_AFTER_S + 0.001
    side.now_s += SPOOL_AFTER_S + 0.001
    found = side.exchange.to_spool(side.now_s)
    assert [len(OBJECTS.object(body).drafts) for _, body in found] == [1, 3]
    side.exchange.spooled([request for request, _ in found])
    assert [type(request.command) for request in side.pending.outstanding.values()] == [LookUp]
    assert side.exchange.to_spool(side.now_s) == []


def test_publishes_are_spooled_when_an_owner_is_silent_for_long() -> None:
    side = Side().welcome()
    side.publish()
    side.sent()
    side.now_s += SPOOL_SILENT_S - 0.1
    assert side.exchange.to_spool(side.now_s) == []
    side.publish()
    side.now_s += 0.1
    found = side.exchange.to_spool(side.now_s)
    assert len(found) == 1, "that one is not new"
    assert len(side.exchange.to_spool(side.now_s)) == 2, "it is known to be silent"
    side.exchange.spooled([request for request, _ in found])
    side.exchange.take(Kind.PONG, [], side.now_s)
    assert side.exchange.to_spool(side.now_s) == []


def test_an_owner_that_is_known_to_be_silent_is_asked_for_life_and_gets_publishes_again_once_it_answers() -> None:
    side = Side().welcome()
    side.publish()
    side.sent()
    side.now_s += SPOOL_SILENT_S
    side.exchange.spooled([request for request, _ in side.exchange.to_spool(side.now_s)])
    side.now_s += 2
    kinds = [kind for kind, _ in Assembler().feed(b"".join(side.exchange.housekeeping(side.now_s)))]
    assert Kind.PING in kinds, "although nothing is asked"
    side.publish()
    assert len(side.exchange.to_spool(side.now_s)) == 1, "at once"
    side.exchange.take(Kind.PONG, [], side.now_s)
    side.now_s += SPOOL_SILENT_S - 0.1
    side.publish()
    assert len(side.exchange.to_spool(side.now_s)) == 0


def test_what_lay_in_the_socket_while_the_process_was_stopped_is_no_answer_to_what_was_asked_since() -> None:
    """An owner that has died meanwhile sent it; the member must not take that owner for alive."""
    side = Side()
    side.exchange.is_member = True
    side.exchange.hello(side.now_s)
    side.now_s = 100.1
    side.welcome()
    assert side.exchange.owner.until_s == 100.0 + HEARD_S
    side.now_s = 100.5
    side.exchange.housekeeping(side.now_s)
    side.now_s = 130.0
    side.exchange.take(Kind.PONG, [], side.now_s)
    side.exchange.housekeeping(side.now_s)
    side.exchange.take(Kind.WELCOME, [PROTOCOL, {}], side.now_s)
    assert (side.exchange.heard_s, side.exchange.owner.until_s) == (130.0, 100.5 + HEARD_S)
    side.now_s = 130.1
    side.exchange.take(Kind.PONG, [], side.now_s)
    assert side.exchange.owner.until_s == 130.0 + HEARD_S


def test_a_member_asks_at_once_where_what_comes_may_be_from_an_owner_of_before() -> None:
    """Else it gives back what it is handed, and is handed it again, until its next question: each time is on record."""
    side = Side()
    side.exchange.is_member = True
    side.exchange.takers[Kind.DELIVER] = lambda _elements: None
    side.exchange.hello(side.now_s)
    side.now_s = 140.0
    side.welcome()  # the connection hung meanwhile
    assert [kind for kind, _ in side.sent()] == [Kind.PING]
    side.exchange.take(Kind.DELIVER, [], side.now_s)
    assert not side.sent(), "a question is under way"
    side.exchange.take(Kind.PONG, [], side.now_s)
    assert side.exchange.owner.until_s == side.now_s + HEARD_S
    side.now_s += HEARD_S  # nothing came for a second: the owner was busy, or this process
    side.exchange.take(Kind.DELIVER, [], side.now_s)
    assert [kind for kind, _ in side.sent()] == [Kind.PING]


def test_an_owner_that_is_stopped_is_not_asked_for_ever_whether_it_is_alive() -> None:
    side = Side().welcome()
    side.exchange.is_member = True
    asked = 0
    for _ in range(1000):
        side.now_s += 1.0
        asked += any(kind is Kind.PING for kind, _ in Assembler().feed(b"".join(side.exchange.housekeeping(side.now_s))))
    assert asked == QUESTIONS_MAX
    for _ in range(asked):
        side.exchange.take(Kind.PONG, [], side.now_s)
    side.now_s += 1.0
    assert side.exchange.housekeeping(side.now_s), "it is asked again once it has answered"
