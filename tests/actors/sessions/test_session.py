"""A session without a socket: what a peer may ask, how often it is answered, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions.answers.peer_requests import REQUESTS_MAX
from perdure.actors.sessions.crossing import CONSUME, OBJECTS, PUBLISH
from perdure.actors.sessions.figures import AskFigures, RunFigures
from perdure.actors.sessions.framing.wire import PROTOCOL, Assembler, Kind
from perdure.actors.sessions.owner import Owner
from perdure.actors.sessions.session import SUBMITTED, Ended, Session
from perdure.events import commands
from perdure.events.errors import InvalidMessage, NotRunning, PayloadTooLarge, PublishTimeout, QueueFull, StoreUnavailable
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from perdure.actors.requests.request import Request


@attrs.define
class Bounds:
    payload_bytes_max: int = 100
    batch_max: int = 10
    batch_bytes_max: int = 500


class Peer:
    """A session with the other end at hand."""

    def __init__(self, rights: frozenset[str] | None = None) -> None:
        self.told: list[Request] = []
        self.facts: dict[str, Any] = {"handlers": {}}
        self.pending = PendingRequests(lambda _target, request: self.told.append(request))
        owner = Owner(
            pending=self.pending,
            bounds=Bounds(),
            facts=lambda: dict(self.facts),
            figures=lambda: RunFigures({"n": 1}, {}, {}),
            check_changes=lambda changes: changes,
        )
        self.rings = 0
        self.session = Session(owner, self._notify) if rights is None else Session(owner, self._notify, rights)

    def _notify(self) -> None:
        self.rings += 1

    def hello(self) -> Peer:
        self.session.take(Kind.HELLO, [PROTOCOL, "test"])
        return self

    def ask(self, key: int, command: Any, actor: str = "queue", times: int = 1) -> None:
        self.session.take(Kind.ASK, [[key, times, actor, OBJECTS.packed(command)]])

    def answers(self) -> list[tuple[int, Any]]:
        frames = b"".join(self.session.frames())
        return [(key, OBJECTS.object(body)) for _, rows in Assembler().feed(frames) for key, body in rows]


def publish(ident: str = "id", payload: bytes = b"x") -> commands.Publish:
    return commands.Publish([commands.Draft(ident, "t", payload)])


def test_a_request_is_told_to_its_actor_and_its_answer_goes_back_under_the_peers_key() -> None:
    peer = Peer().hello()
    peer.ask(41, commands.LookUp("id"))
    (request,) = peer.told
    assert request.target == "queue"
    assert peer.answers() == []
    peer.pending.settle(request, ["standing"])
    assert peer.rings == 1
    assert peer.answers() == [(41, ["standing"])]
    assert peer.session.in_flight == 0


def test_a_frame_that_comes_twice_is_asked_and_answered_once() -> None:
    peer = Peer().hello()
    peer.ask(1, publish())
    peer.ask(1, publish())
    assert len(peer.told) == 1
    peer.session.answered(1, None)
    peer.session.answered(1, None)
    assert peer.answers() == [(1, None)]


def test_a_refused_request_that_comes_once_more_is_not_done_after_all() -> None:
    peer = Peer().hello()
    run = commands.DraftRun("t", IdRun("p" * 24, 5, 2), [b"1", b"2"])
    for _ in range(2):
        peer.ask(1, publish())
        peer.session.take(Kind.ASK, [[2, 1, "queue", OBJECTS.packed(commands.Publish(run, fresh=True)), SUBMITTED]])
        for request in peer.told:
            peer.pending.refuse(request, StoreUnavailable("the disk is full"))
        peer.answers()
    assert len(peer.told) == 2


def test_a_request_that_was_sent_before_says_so_to_the_rules() -> None:
    peer = Peer().hello()
    run = commands.DraftRun("t", IdRun("p" * 24, 5, 2), [b"1", b"2"])
    peer.ask(1, commands.Publish(run, fresh=True), times=2)
    assert peer.told[0].times == 2
    assert not peer.told[0].command.fresh


def test_ids_count_as_new_only_while_they_count_up() -> None:
    peer = Peer().hello()
    for key, start in enumerate([5, 10, 10, 3, 12]):
        run = commands.DraftRun("t", IdRun("p" * 24, start, 2), [b"1", b"2"])
        peer.ask(key, commands.Publish(run, fresh=True))
    assert [request.command.fresh for request in peer.told] == [True, True, False, False, True]


def test_a_refusal_goes_back_as_the_same_error() -> None:
    peer = Peer().hello()
    peer.ask(1, publish())
    peer.pending.refuse(peer.told[0], QueueFull("full"))
    ((key, error),) = peer.answers()
    assert key == 1
    assert isinstance(error, QueueFull)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (publish(payload=b"x" * 101), PayloadTooLarge),
        (commands.Publish([commands.Draft(str(i), "t", b"x") for i in range(11)]), PayloadTooLarge),
        (commands.Publish([commands.Draft(str(i), "t", b"x" * 90) for i in range(6)]), PayloadTooLarge),
        (commands.Publish([]), InvalidMessage),
        (publish(""), InvalidMessage),
        (publish("i" * 513), InvalidMessage),
        (commands.Publish([commands.Draft("i", "t", b"", key="k")]), InvalidMessage),
        (commands.Publish([commands.Draft("i", "t", b"", priority=1001)]), InvalidMessage),
        (commands.Publish(commands.DraftRun("t", IdRun("p", 0, 3), [b"1"])), InvalidMessage),
        (commands.CheckOut("t", "h", 0, 1), InvalidMessage),
        (commands.Extend(1, "i", 1, 5, 101.0), InvalidMessage),
        (commands.Done(1, "i", 1, (), b"result"), InvalidMessage),
    ],
)
def test_what_is_out_of_bounds_is_refused_and_told_to_no_actor(command: Any, error: type[Exception]) -> None:
    peer = Peer().hello()
    peer.ask(1, command)
    assert peer.told == []
    assert isinstance(peer.answers()[0][1], error)


def test_what_a_client_publishes_is_under_the_policy_that_counts_now() -> None:
    """It may have made the draft before it heard of a handler that was registered a moment ago."""
    peer = Peer()
    peer.session._owner = attrs.evolve(peer.session._owner, under_policy=lambda draft: draft._replace(dedup="reject"))
    peer.hello().ask(1, commands.Publish([commands.Draft("a", "t", b"", "k"), commands.Draft("b", "t", b"", "k", "append")]))
    assert [draft.dedup for draft in peer.told[0].command.drafts] == ["reject", "append"]


def test_a_right_that_is_missing_is_a_refusal() -> None:
    peer = Peer(frozenset({PUBLISH})).hello()
    peer.ask(1, commands.CheckOut("t", "h", 1, 1))
    assert CONSUME in str(peer.answers()[0][1])
    peer.ask(2, publish())
    assert len(peer.told) == 1


@pytest.mark.parametrize(("actor", "command"), [("journal", publish()), ("queue", AskFigures()), ("queue", None)])
def test_what_no_peer_may_send_ends_the_session(actor: str, command: Any) -> None:
    with pytest.raises(Ended, match="no peer may send"):
        Peer().hello().ask(1, command, actor)


def test_the_session_answers_for_the_owner_itself() -> None:
    peer = Peer().hello()
    peer.ask(1, AskFigures(), "owner")
    assert peer.answers() == [(1, RunFigures({"n": 1}, {}, {}))]


def test_nothing_is_taken_before_hello_nor_from_another_protocol() -> None:
    with pytest.raises(Ended, match="HELLO"):
        Peer().ask(1, publish())
    with pytest.raises(Ended, match="same version"):
        Peer().session.take(Kind.HELLO, [PROTOCOL + 1, "x"])


@pytest.mark.long(seconds=3)
def test_a_peer_has_a_bound_of_requests() -> None:
    peer = Peer().hello()
    for key in range(REQUESTS_MAX):
        peer.ask(key, commands.LookUp("id"))
    with pytest.raises(Ended, match="more than"):
        peer.ask(REQUESTS_MAX, commands.LookUp("id"))


def test_what_is_forgotten_is_answered_no_more() -> None:
    peer = Peer().hello()
    peer.ask(1, commands.AwaitResult("id"))
    peer.session.take(Kind.FORGET, [1, 77])
    assert not peer.pending.outstanding
    peer.session.answered(1, None)
    assert peer.answers() == []


def test_a_closed_session_leaves_no_request_behind() -> None:
    peer = Peer().hello()
    peer.ask(1, commands.AwaitResult("id"))
    peer.ask(2, publish())
    peer.session.close()
    assert not peer.pending.outstanding


def test_an_owner_that_stops_answers_what_is_done_and_leaves_the_rest_to_the_next() -> None:
    peer = Peer().hello()
    for key in (1, 2, 3):
        peer.ask(key, publish(str(key)))
    peer.pending.settle(peer.told[0], None)
    peer.pending.abandon(NotRunning("it was stopped"))
    assert peer.answers() == [(1, None)]
    assert isinstance(peer.session.over, NotRunning)


def test_a_doubt_while_the_owner_goes_on_is_an_answer() -> None:
    peer = Peer().hello()
    peer.ask(1, publish())
    peer.pending.refuse(peer.told[0], PublishTimeout("doubt", ("id",)))
    assert isinstance(peer.answers()[0][1], PublishTimeout)
    assert peer.session.over is None


def test_an_owner_that_takes_nothing_says_so_at_the_door() -> None:
    peer = Peer()
    peer.pending.closed = NotRunning("stopped")
    with pytest.raises(Ended, match="stopped"):
        peer.hello()


def test_facts_are_told_again_when_they_change() -> None:
    peer = Peer().hello()
    assert peer.session.news() == []
    peer.facts["handlers"] = {"t": 5}
    ((kind, elements),) = Assembler().feed(b"".join(peer.session.news()))
    assert kind is Kind.WELCOME
    assert elements[1]["handlers"] == {"t": 5}
    assert peer.session.news() == []


def test_an_answer_that_cannot_cross_is_a_refusal_that_says_so() -> None:
    peer = Peer().hello()
    peer.ask(1, commands.LookUp("id"))
    peer.pending.settle(peer.told[0], object())
    assert "cannot cross" in str(peer.answers()[0][1])


def submitted(peer: Peer, key: int, n: int) -> Request:
    run = commands.DraftRun("t", IdRun("p" * 24, 5, n), [b"x"] * n)
    peer.session.take(Kind.ASK, [[key, 1, "queue", OBJECTS.packed(commands.Publish(run, fresh=True)), 1]])
    return peer.told[-1]


def test_messages_that_were_submitted_together_have_one_answer_where_they_are_accepted_together() -> None:
    peer = Peer().hello()
    request = submitted(peer, 258, 3)
    peer.pending.settle(request, None)
    assert peer.answers() == [(258, None)]
    assert not peer.pending.outstanding
    assert peer.session.in_flight == 0


def test_messages_that_were_submitted_together_are_answered_one_by_one_where_they_do_not_fit_together() -> None:
    peer = Peer().hello()
    first, second, third = peer.pending.split(submitted(peer, 258, 3))
    peer.pending.settle(first, None)
    peer.pending.refuse(third, QueueFull("full"))
    (one, three) = peer.answers()
    assert one[0] == 259
    assert (three[0], type(three[1])) == (261, QueueFull)
    assert peer.session.in_flight == 1
    peer.session.answered((258, 0), None)
    assert peer.answers() == [], "each is answered once"
    peer.pending.settle(second, None)
    assert [key for key, _ in peer.answers()] == [260]
    assert peer.session.in_flight == 0


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_messages_that_wait_one_by_one_are_forgotten_with_their_peer(is_forgotten: bool) -> None:
    peer = Peer().hello()
    peer.pending.split(submitted(peer, 258, 3))
    assert len(peer.pending.outstanding) == 3
    if is_forgotten:
        peer.session.take(Kind.FORGET, [258])
    else:
        peer.session.close()
    assert not peer.pending.outstanding
