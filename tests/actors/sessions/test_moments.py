"""Moments as they cross: both ends mean the same one, and an end of an older version is taken at its word."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.core import clock as clock_module
from perdure.actors.core.clock import NEAR_US, ManualClock, SystemClock, ahead_us
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.figures import RunFigures
from perdure.actors.sessions.framing.delivered import Reported
from perdure.actors.sessions.framing.moments import AHEAD, MOMENTS_CROSS, as_read, as_sent
from perdure.actors.sessions.framing.wire import PROTOCOL, Assembler, Kind
from perdure.actors.sessions.owner import Owner
from perdure.actors.sessions.session import Session
from perdure.events.commands import Done, Draft, Fail, Publish
from perdure.processes.to_owner.exchange import Exchange
from perdure.processes.to_owner.no_owner import NoAnswer
from perdure.processes.to_owner.waiting import SPOOL_AFTER_S
from tests.actors.sessions.test_session import Bounds
from tests.machine import US, Machine

if TYPE_CHECKING:
    from perdure.actors.core.health import OwnersLife

HOUR_US = 3600 * US
AT_US = 1_700_000_000_000_000
DRAFT = Draft("id", "t", b"", due_us=AT_US, expires_us=AT_US + 5)


class Unread:
    """A reply that is not looked at."""

    def resolve(self, value: Any) -> None:
        """Nothing waits for it."""

    def reject(self, error: BaseException) -> None:
        raise error


class Ends:
    """An exchange and the session that answers it; frames are carried by hand, and either end may be of an older version."""

    def __init__(self, *, client_us: int = 0, owner_us: int = 0, old_client: bool = False, old_owner: bool = False) -> None:
        self.old_owner = old_owner
        self.sent: list[Any] = []
        self.pending = PendingRequests(lambda _target, request: self.exchange.ask(request, 0.0))
        self.exchange = Exchange("test", 10.0, self.pending, lambda _: None, lambda: NoAnswer("none", ""))
        self.exchange.ahead_us = lambda: client_us
        owner = Owner(
            pending=PendingRequests(lambda _target, request: self.sent.append(request.command)),
            bounds=Bounds(),
            facts=lambda: {"handlers": {}},
            figures=lambda: RunFigures({}, {}, {}),
            check_changes=lambda changes: changes,
            ahead_us=lambda: owner_us,
        )
        self.session = Session(owner, lambda: None)
        ((kind, hello),) = Assembler().feed(self.exchange.hello())
        (welcome,) = self.session.take(kind, hello[:3] if old_owner or old_client else hello)
        ((kind, (protocol, facts)),) = Assembler().feed(welcome)
        told = {name: fact for name, fact in facts.items() if not (old_owner and name == AHEAD)}
        self.exchange.take(kind, [protocol, told], 0.0)
        if old_client:
            self.exchange.reads_moments = False

    def publish(self) -> Draft:
        """Publish, and return the draft as it comes to the owner's queue."""
        self.pending.send("queue", Publish([DRAFT]), Unread())
        for kind, rows in Assembler().feed(b"".join(self.exchange.frames(0.0))):
            self.session.take(kind, rows)
        (draft,) = self.sent[-1].drafts
        assert isinstance(draft, Draft)
        return draft


@pytest.mark.parametrize(("client_us", "owner_us"), [(0, HOUR_US), (HOUR_US, 0), (HOUR_US, HOUR_US), (-HOUR_US, 5)])
def test_a_moment_is_the_same_at_both_ends(client_us: int, owner_us: int) -> None:
    ends = Ends(client_us=client_us, owner_us=owner_us)
    moved_us = owner_us - client_us
    assert ends.publish() == DRAFT._replace(due_us=AT_US + moved_us, expires_us=AT_US + 5 + moved_us)
    assert ends.exchange.owner.ahead_us == moved_us
    (request,) = ends.pending.outstanding.values()
    assert request.command.drafts == [DRAFT], "as it was made, for the next owner, or for this process once it is one"


@pytest.mark.parametrize(("old_client", "old_owner"), [(True, False), (False, True), (True, True)])
def test_an_end_of_an_older_version_is_taken_at_its_word(old_client: bool, old_owner: bool) -> None:
    ends = Ends(client_us=7, owner_us=HOUR_US, old_client=old_client, old_owner=old_owner)
    assert ends.publish() == DRAFT
    if old_owner:
        assert ends.exchange.owner.ahead_us == 0


def test_what_is_spooled_is_in_terms_of_the_wall_clock_also_under_an_older_owner() -> None:
    ends = Ends(client_us=HOUR_US, old_owner=True)
    ends.exchange.spools = True
    ends.exchange.lost(0.0)
    ends.pending.send("queue", Publish([DRAFT]), Unread())
    ((_, body),) = ends.exchange.to_spool(SPOOL_AFTER_S + 1)
    spooled = OBJECTS.object(body)
    assert spooled.drafts == [DRAFT._replace(due_us=AT_US - HOUR_US, expires_us=AT_US + 5 - HOUR_US)]
    assert as_read(spooled, lambda: 5).drafts[0].due_us == AT_US - HOUR_US + 5


def test_what_a_handler_publishes_crosses_so_too_and_other_outcomes_as_they_are() -> None:
    failed = Fail(2, "b", 1, "e", "m", "t", 5)
    reported = Reported([3], [Done(1, "a", 1, (DRAFT,)), failed])
    sent = as_sent(reported, lambda: 9)
    assert sent.reports == [Done(1, "a", 1, (DRAFT._replace(due_us=AT_US - 9, expires_us=AT_US - 4),)), failed]
    assert sent.done == [3]
    assert as_read(sent, lambda: 9) == reported
    plain = Reported([3], [failed])

    def unasked() -> int:
        raise AssertionError

    assert as_sent(plain, unasked) is plain


def test_a_member_hears_with_each_answer_how_far_the_owners_clock_is_ahead() -> None:
    ends = Ends(client_us=10, owner_us=HOUR_US)
    ends.exchange.take(Kind.PONG, [50], 0.0)
    assert ends.exchange.owner.ahead_us == 40
    ends.exchange.take(Kind.PONG, [], 0.0)
    assert ends.exchange.owner.ahead_us == 40, "an older owner says nothing of it"
    ends.exchange.take(Kind.WELCOME, [PROTOCOL, {}], 0.0)
    assert ends.exchange.owner.ahead_us == 0
    assert MOMENTS_CROSS in next(elements for _, elements in Assembler().feed(ends.exchange.hello()))


def test_a_welcome_tells_at_once_how_far_the_owners_clock_is_ahead() -> None:
    """It was 0 for a moment, in which a worker could take a lease for one that has run out."""
    ends = Ends(client_us=0, owner_us=HOUR_US)
    told: list[int] = []

    class Noting:
        def __setattr__(self, name: str, value: int) -> None:
            told.append(value)

    ends.exchange.note_facts({AHEAD: 40}, cast("OwnersLife", Noting()))
    assert told == [40]


CORRECTED = st.tuples(st.floats(0.2, 7200.0), st.sampled_from([0, 0, -1, -60, -3600, -86400, 1, 60, 3600]))


@given(st.lists(CORRECTED, max_size=12), st.data())
def test_clocks_that_began_at_different_times_agree_on_what_is_left(moves: list[tuple[float, int]], data: st.DataObject) -> None:
    """Whichever corrections of the wall clock each has lived through."""
    machine = Machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "time", machine)
        clocks = [SystemClock()]
        second = data.draw(st.integers(0, len(moves)))
        for i, (seconds, correction) in enumerate(moves):
            if i == second:
                clocks.append(SystemClock())
            for _ in range(20):
                machine.live(seconds / 20)
                for clock in clocks:
                    clock.now_us()
            machine.correct(correction)
        clocks.append(SystemClock())
        for sender in clocks:
            for receiver in clocks:
                made = Draft("id", "t", b"", expires_us=sender.now_us() + 60 * US)
                sent = as_sent(Publish([made]), partial(ahead_us, sender))
                got = as_read(sent, partial(ahead_us, receiver))
                assert abs(got.drafts[0].expires_us - receiver.now_us() - 60 * US) <= 2 * NEAR_US


def test_drift_is_no_lead_and_two_clocks_that_are_not_read_at_once_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine()
    monkeypatch.setattr(clock_module, "time", machine)
    clock = SystemClock()
    machine.correct(-0.015)
    assert ahead_us(clock) == 0
    machine.correct(-60)
    assert ahead_us(clock) == pytest.approx(60 * US, abs=NEAR_US)
    assert ahead_us(ManualClock()) == 0

    class HeldUp(ManualClock):
        readings = 0

        def wall_us(self) -> int:
            self.readings += 1
            if self.readings < 3:
                self.advance(5.0)
            return self.now_us()

    held_up = HeldUp()
    assert ahead_us(held_up) == 0
    assert held_up.readings == 3
