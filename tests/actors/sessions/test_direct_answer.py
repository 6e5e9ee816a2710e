"""An answer that an actor's thread sends itself reaches the peer once and whole, wherever that thread is killed."""

from __future__ import annotations

import select
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.core.directory import Directory
from perdure.actors.core.threads.current_actor import CURRENT
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.sessions import peer as peer_module
from perdure.actors.sessions.answers.direct_answer import DirectAnswer
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.figures import RunFigures
from perdure.actors.sessions.framing.wire import PROTOCOL, Assembler, Kind, pack
from perdure.actors.sessions.owner import Owner
from perdure.actors.sessions.peer import WRITER, Peer
from perdure.actors.sessions.server import Server
from perdure.actors.sessions.session import Session
from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
from perdure.events.commands import LookUp
from tests.actors.sessions.test_session import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = (1000, 2000)


class _Dyer(Actor):
    """An actor that is never started: the test's thread is its thread."""


@pytest.fixture
def actor() -> Iterator[Actor]:
    made = _Dyer(Directory(SimulatedExecutor(1)), "journal", 1)
    CURRENT.actor = made
    yield made
    CURRENT.actor = None


class _Wire:
    """A peer with one unanswered publish for each key, and the other end of its connection."""

    def __init__(self, *keys: int) -> None:
        ours, self.theirs = socket.socketpair()
        for sock in (ours, self.theirs):
            sock.setblocking(False)
        self.peer = Peer(ours, 1, 0.0)
        self.notified = 0
        pending = PendingRequests(lambda _target, _request: None)
        owner = Owner(
            pending=pending,
            bounds=Bounds(),
            facts=dict,
            figures=lambda: RunFigures({}, {}, {}),
            check_changes=lambda changes: changes,
        )
        self.session = self.peer.session = Session(owner, self._notify)
        self.session.take(Kind.HELLO, [PROTOCOL, "a peer", "it"])
        for key in keys:
            self.session.take(Kind.ASK, [[key, 1, "queue", OBJECTS.packed(LookUp("id"))]])
        self._frames = Assembler()

    def _notify(self) -> None:
        self.notified += 1

    def served(self) -> None:
        """Do what the server's thread does for a peer that has answers."""
        assert self.peer.claim()
        for frame in self.session.frames():
            self.peer.put(frame)
        self.peer.send()
        self.peer.release()

    def answered(self) -> list[int]:
        """Return the keys of the answers that have arrived."""
        keys: list[int] = []
        while select.select([self.theirs], [], [], 0)[0]:
            for kind, elements in self._frames.feed(self.theirs.recv(1 << 16)):
                assert kind is Kind.ANSWER
                keys += [key for key, _ in elements]
        return keys

    def close(self) -> None:
        self.peer.sock.close()
        self.theirs.close()


@pytest.fixture
def wire() -> Iterator[_Wire]:
    made = _Wire(KEYS[0])
    yield made
    made.close()


def test_the_only_answer_is_sent_by_the_actor_that_gives_it(wire: _Wire, actor: Actor) -> None:
    assert actor.name == "journal"
    wire.session.answered(KEYS[0], None)
    assert wire.peer.answer_now()
    assert wire.answered() == [KEYS[0]]
    assert wire.session.in_flight == 0
    wire.served()
    assert wire.answered() == []


def test_what_is_none_of_the_plainest_answers_is_left_to_the_servers_thread(wire: _Wire, actor: Actor) -> None:
    assert actor.name == "journal"
    wire.session.answered(KEYS[0], ValueError("no"))
    assert not wire.peer.answer_now()
    wire.served()
    assert wire.answered() == [KEYS[0]]


@pytest.mark.usefixtures("actor")
def test_answers_that_come_together_are_left_to_go_out_in_one_frame() -> None:
    wire = _Wire(*KEYS)
    for key in KEYS:
        wire.session.answered(key, None)
        assert not wire.peer.answer_now()
    wire.served()
    assert wire.answered() == list(KEYS)
    wire.close()


def test_no_other_thread_than_an_actors_sends(wire: _Wire) -> None:
    wire.session.answered(KEYS[0], None)
    assert not wire.peer.answer_now()


@pytest.mark.usefixtures("actor")
def test_nothing_overtakes_what_waits_to_be_read(wire: _Wire) -> None:
    wire.peer.put(pack(Kind.ANSWER, [7, b""]))
    wire.session.answered(KEYS[0], None)
    assert not wire.peer.answer_now()
    wire.served()
    assert wire.answered() == [7, KEYS[0]]


class _Killer:
    """Kills the thread that it traces before its n-th instruction of the modules that send."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, frame: Any, event: str, _arg: object) -> Any:
        if not frame.f_code.co_filename.endswith(("peer.py", "direct_answer.py", "peer_requests.py", "wire.py")):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise ActorKilled
        return self


@pytest.mark.parametrize("is_awaited", [False, True])
def test_a_thread_that_is_killed_at_any_instruction_leaves_the_answer_to_go_out_once(actor: Actor, is_awaited: bool) -> None:
    n, sent_before = 0, set()
    was_killed = True
    sys._getframe().f_trace_opcodes = True  # CPython 3.12 tells of opcodes only where a frame had asked for them before `settrace`
    while was_killed:
        n += 1
        wire = _Wire(KEYS[0])
        wire.session.answered(KEYS[0], None)
        actor.actor_stopped.clear()
        before = sys.gettrace()
        sys.settrace(_Killer(n))
        try:
            wire.peer.answer_now()
            was_killed = False
        except ActorKilled:
            pass
        finally:
            sys.settrace(before)
        first = wire.answered()
        sent_before.add(len(first))
        if is_awaited and was_killed:
            wire.peer.claim()  # it may be refused until the thread has ended
        actor.actor_stopped.set()
        wire.served()
        assert first + wire.answered() == [KEYS[0]], f"killed before instruction {n}"
        assert wire.session.in_flight == 0
        wire.close()
    assert n > 100
    assert sent_before == {0, 1}


class _Slow:
    """A socket that takes three bytes at a time, and runs something in the middle of the first send."""

    def __init__(self, sock: socket.socket, within: Any = None) -> None:
        self._sock = sock
        self._within = within
        self.fileno, self.close = sock.fileno, sock.close

    def send(self, data: bytes) -> int:
        if self._within is not None:
            self._within()
        return self._sock.send(data[:3])

    def sendmsg(self, buffers: list[memoryview]) -> int:
        return self._sock.send(bytes(buffers[0])[:3])


@pytest.mark.usefixtures("actor")
def test_the_rest_of_a_frame_goes_out_before_all_that_comes_after(wire: _Wire) -> None:
    wire.peer.sock = _Slow(wire.peer.sock)  # type: ignore[assignment]  # it has what is called of a socket
    wire.session.answered(KEYS[0], None)
    assert not wire.peer.answer_now()
    wire.peer.put(pack(Kind.ANSWER, [7, b""]))
    wire.served()
    assert wire.answered() == [KEYS[0], 7]
    assert wire.peer.out_bytes == 0


@pytest.mark.usefixtures("actor")
def test_the_servers_thread_leaves_the_socket_alone_while_an_actor_writes_and_is_woken_after(wire: _Wire) -> None:
    claims: list[bool] = []
    sock = wire.peer.sock

    class Whole(_Slow):
        def send(self, data: bytes) -> int:
            claims.append(wire.peer.claim())
            return sock.send(data)

    wire.peer.sock = Whole(sock)  # type: ignore[assignment]  # as above
    wire.session.answered(KEYS[0], None)
    assert not wire.peer.answer_now()  # sent; the server's thread wants to look
    assert claims == [False]
    assert wire.answered() == [KEYS[0]]
    assert wire.peer.claim()


def test_a_peer_that_is_left_to_an_actor_can_be_queued_again(wire: _Wire) -> None:
    """Two actors answered: the second queued the peer while the first wrote, and the first queues it once it is done."""
    server = Server.__new__(Server)
    server._peers = {wire.peer.sock.fileno(): wire.peer}
    wire.peer._writers[WRITER] = DirectAnswer(lambda: False)
    wire.peer.is_queued = True
    server._guarded(wire.peer, 0)
    assert not wire.peer.is_queued
    assert wire.peer.is_awaited


@pytest.mark.usefixtures("actor")
def test_an_actor_does_not_write_while_the_servers_thread_does(wire: _Wire) -> None:
    assert wire.peer.claim()
    wire.session.answered(KEYS[0], None)
    assert not wire.peer.answer_now()
    assert wire.answered() == []
    wire.served()
    assert wire.answered() == [KEYS[0]]


@pytest.mark.usefixtures("actor")
def test_a_connection_that_is_gone_is_found_by_the_servers_thread(wire: _Wire) -> None:
    wire.theirs.close()
    wire.session.answered(KEYS[0], None)
    assert not wire.peer.answer_now()
    with pytest.raises(OSError, match=r"[Bb]roken|reset"):
        wire.served()


def test_a_socket_is_closed_once_no_actor_writes_to_it(wire: _Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CLOSE_S", 60.0)
    over = threading.Event()
    wire.peer._writers["writer"] = DirectAnswer(over.is_set)
    closing = threading.Thread(target=wire.peer.close, args=(b"bye",))
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    assert wire.peer.sock.fileno() >= 0
    over.set()
    closing.join(10)
    assert wire.peer.sock.fileno() == -1
    assert wire.theirs.recv(10) == b"bye"


def test_a_socket_that_an_actor_does_not_let_go_is_shut_down_and_keeps_its_number(
    wire: _Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "CLOSE_S", 0.01)
    wire.peer._writers["writer"] = DirectAnswer(lambda: False)
    wire.peer.close(b"bye")
    assert wire.theirs.recv(10) == b""
    assert wire.peer.sock.fileno() >= 0


def test_an_exception_that_the_actor_outlives_leaves_the_peer_to_the_servers_thread(
    wire: _Wire, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise MemoryError

    wire.session.answered(KEYS[0], None)
    with monkeypatch.context() as patched:
        patched.setattr(wire.session, "only_answer", interrupted)
        with pytest.raises(MemoryError):
            wire.peer.answer_now()
    assert not actor.actor_stopped.is_set()
    wire.served()
    assert wire.answered() == [KEYS[0]]
