"""What a process publishes to an owner waits until that owner has taken in what the process spooled before it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.core.threads.answer import Answer
from perdure.actors.sessions.framing.wire import PROTOCOL, Assembler, Kind
from perdure.actors.sessions.session import LOOKS_AT_SPOOL, Session
from perdure.events.commands import LookUp, Publish
from perdure.events.vocabulary import Published
from perdure.processes.to_owner.connection import Connection
from perdure.processes.to_owner.held_publishes import LOOK_S, SPOOL_HELD_S
from perdure.processes.to_owner.waiting import SPOOL_AFTER_S, SPOOL_SILENT_S
from perdure.runtime.spool_source import SpoolSource
from tests.host.processes.clients.test_exchange import Side
from tests.host.processes.shop import Order, shop
from tests.host.processes.spooling.test_spool import wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Spooler(Side):
    """A client's side that spools; `is_left` is what its files say."""

    def __init__(self) -> None:
        super().__init__()
        self.is_left = True
        self.exchange.spools = True
        self.exchange.held.is_left = lambda: self.is_left
        self.exchange.lost(self.now_s)

    def spool(self) -> None:
        self.now_s += SPOOL_SILENT_S
        found = self.exchange.to_spool(self.now_s)
        assert found
        self.exchange.spooled([request for request, _ in found])

    def let_in(self, **facts: Any) -> Spooler:
        self.exchange.take(Kind.WELCOME, [PROTOCOL, facts], self.now_s)
        return self

    def asked(self) -> list[type]:
        """The commands that are sent now."""
        outstanding = self.pending.outstanding
        return [type(outstanding[key].command) for key in self.keys()]

    def told(self) -> list[Kind]:
        return [kind for kind, _ in self.sent()]


@pytest.fixture
def spooler() -> Spooler:
    """Return a side that has spooled without an owner."""
    spooler = Spooler()
    spooler.publish()
    spooler.now_s += SPOOL_AFTER_S
    spooler.spool()
    return spooler


def test_publishes_wait_for_the_spool_and_nothing_else_does_and_then_go_in_their_order(spooler: Spooler) -> None:
    spooler.let_in()
    spooler.publish()
    spooler.pending.send("queue", LookUp("id"), Answer())
    spooler.submit(2)
    assert spooler.asked() == [LookUp]
    assert not spooler.exchange.is_ripe(spooler.now_s), "nothing spins meanwhile"
    assert spooler.exchange.is_gathering, "and it is looked again soon"
    spooler.is_left = False
    spooler.publish()
    spooler.now_s += LOOK_S
    held = [key for key, request in sorted(spooler.pending.outstanding.items()) if not isinstance(request.command, LookUp)]
    assert spooler.keys() == held
    assert len(held) == 3
    spooler.publish()
    assert spooler.asked() == [Publish], "from then on nothing waits"


def test_publishes_wait_only_so_long_for_what_the_owner_does_not_take_in(spooler: Spooler) -> None:
    spooler.let_in()
    spooler.publish()
    assert spooler.asked() == []
    spooler.now_s += SPOOL_HELD_S - LOOK_S
    assert spooler.asked() == []
    spooler.now_s += LOOK_S
    assert spooler.asked() == [Publish]


def test_publishes_that_wait_are_not_taken_for_what_an_owner_is_silent_about(spooler: Spooler) -> None:
    spooler.let_in()
    spooler.publish()
    assert spooler.asked() == []
    spooler.now_s += SPOOL_SILENT_S - 0.1
    kinds = [kind for kind, _ in Assembler().feed(b"".join(spooler.exchange.housekeeping(spooler.now_s)))]
    assert kinds == [Kind.PING]
    spooler.exchange.take(Kind.PONG, [], spooler.now_s)
    spooler.now_s += 0.2
    assert spooler.exchange.to_spool(spooler.now_s) == []


def test_an_owner_that_takes_the_word_is_told_once_that_something_is_left(spooler: Spooler) -> None:
    spooler.let_in(**{LOOKS_AT_SPOOL: True})
    told = []
    for _ in range(3):
        spooler.publish()
        told += spooler.told()
        spooler.now_s += LOOK_S
    assert told == [Kind.SPOOLED]
    spooler.exchange.lost(spooler.now_s)
    spooler.let_in(**{LOOKS_AT_SPOOL: True})
    assert spooler.told() == [Kind.SPOOLED], "and the next one is, too"


def test_an_owner_of_an_older_version_is_told_nothing(spooler: Spooler) -> None:
    spooler.let_in()
    spooler.publish()
    assert spooler.told() == []


def test_what_is_spooled_beside_a_silent_owner_is_waited_for_once_it_answers() -> None:
    spooler = Spooler().let_in()
    spooler.is_left = False
    spooler.publish()
    assert spooler.asked() == [Publish]
    spooler.is_left = True
    spooler.spool()
    spooler.publish()
    assert spooler.asked() == [], "it goes to the file, and not to the owner as well"
    spooler.exchange.take(Kind.PONG, [], spooler.now_s)
    assert spooler.asked() == []
    spooler.is_left = False
    spooler.now_s += LOOK_S
    assert spooler.asked() == [Publish]


def test_what_a_client_spools_in_the_moment_of_its_welcome_is_not_overtaken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner had read the files by then, and found it within a second; what the client published to it meanwhile went first."""
    welcome, spooled = Session._welcome, list[str]()
    read, may_read = SpoolSource.read, threading.Event()

    def read_late(source: SpoolSource, after: int) -> Any:
        assert not spooled or may_read.wait(20)
        return read(source, after)

    monkeypatch.setattr(SpoolSource, "read", read_late)
    with shop(str(folder)) as system, perdure.connect(folder, spool=True) as client:
        first = client.publish(Order(1))

        def welcome_late(session: Session, kind: Kind, elements: list[Any]) -> bytes:
            if not spooled:
                spooled.append(client.submit(Order(2)).result(20))
            return welcome(session, kind, elements)

        monkeypatch.setattr(Session, "_welcome", welcome_late)
        connection = client._connection
        assert isinstance(connection, Connection)
        assert connection._link is not None
        connection._link.end("the test breaks it")
        wait_until(lambda: spooled and connection.exchange.is_up)
        futures = [client.submit(Order(number)) for number in range(3, 6)]
        wait_until(lambda: len(connection.exchange.held) or futures[0].done())
        may_read.set()
        following = [future.result(20) for future in futures]
        recorded = [record.message_id for record in system.audit.events(type=Published)]
        assert recorded == [first, *spooled, *following]
