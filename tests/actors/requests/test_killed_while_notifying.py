"""An actor is killed while it notifies a waiting thread: the successor notifies it, and no lock stays behind.

A kill is an exception at any instruction of the actor's thread. Here it strikes where a `Condition` has just been entered and the
block behind it has not begun, which leaves it locked for ever; and between two steps of an answer.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.core.actor import ActorKilled
from perdure.actors.core.threads.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.chaos.threads.interference import Interference
from perdure.events.commands import Release
from perdure.publishing.publish_future import PublishFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60.0
COMMAND = Release(1, "id", 1, "test")


@contextlib.contextmanager
def killed_where_it_enters_a_condition(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of this thread; all others enter as ever."""
    enter, mine = threading.Condition.__enter__, threading.get_ident()

    def killed_inside(condition: threading.Condition) -> bool:
        entered = enter(condition)
        if threading.get_ident() == mine:
            raise ActorKilled
        return entered

    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, "__enter__", killed_inside)
        with contextlib.suppress(ActorKilled):
            yield


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come to hold"
        time.sleep(0.001)  # for another thread, which has nothing that could be awaited


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    return thread, found


def test_a_thread_that_waits_for_room_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    pending = PendingRequests(lambda _name, _message: None)
    requests = [pending.send("queue", COMMAND, Answer()) for _ in range(4)]
    thread, found = in_thread(lambda: pending.wait_for_room(4, PATIENCE_S))
    until(lambda: pending._waiters)
    with killed_where_it_enters_a_condition(monkeypatch):
        pending.settle(requests[0], None)
    for request in requests[1:]:
        pending.settle(request, None)
    thread.join(PATIENCE_S)
    assert found == [None]


def test_a_thread_that_waits_for_room_is_woken_though_the_actor_that_made_it_died(monkeypatch: pytest.MonkeyPatch) -> None:
    pending = PendingRequests(lambda _name, _message: None)
    request = pending.send("queue", COMMAND, Answer())
    thread, found = in_thread(lambda: pending.wait_for_room(1, PATIENCE_S))
    until(lambda: pending._waiters)
    with monkeypatch.context() as patch:
        patch.setattr(pending, "_notify", lambda: (_ for _ in ()).throw(ActorKilled))
        with pytest.raises(ActorKilled):
            pending.settle(request, None)
    assert not found
    assert pending.unanswered("queue") == []  # asks the successor
    thread.join(PATIENCE_S)
    assert found == [None]


def test_without_room_it_says_so_in_time() -> None:
    pending = PendingRequests(lambda _name, _message: None)
    pending.send("queue", COMMAND, Answer())
    with pytest.raises(perdure.QueueFull, match="none was answered within"):
        pending.wait_for_room(1, 0.01)


@pytest.mark.parametrize("end", ["resolve", "reject"])
def test_a_thread_that_waits_for_a_future_is_woken(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """By the successor, wherever the first notification was cut off."""
    future: PublishFuture[Any] = PublishFuture("id")
    error = perdure.StoreUnavailable("the disk is full")
    called: list[object] = []
    future.add_done_callback(called.append)
    thread, found = in_thread(lambda: future.exception(PATIENCE_S))
    until(lambda: "_condition" in future.__dict__)

    def tell() -> None:
        future.resolve(None) if end == "resolve" else future.reject(error)

    with killed_where_it_enters_a_condition(monkeypatch):
        tell()
    with monkeypatch.context() as patch:
        patch.setattr(future, "_notify", lambda: (_ for _ in ()).throw(ActorKilled))
        with pytest.raises(ActorKilled):
            tell()
    tell()
    thread.join(PATIENCE_S)
    assert found == [None if end == "resolve" else error]
    assert called == [future]


def test_an_answer_that_comes_again_counts_once() -> None:
    future: PublishFuture[str] = PublishFuture("id")
    thread, found = in_thread(lambda: wait([future], PATIENCE_S).done)
    until(lambda: future.__dict__.get("_waiters"))
    (waiter,) = future._waiters
    future.resolve(None)
    future.resolve(None)
    thread.join(PATIENCE_S)
    assert found == [{future}]
    assert waiter.finished_futures == [future]


def test_callback_in_which_its_thread_was_killed_is_called_again() -> None:
    future: PublishFuture[str] = PublishFuture("id")
    calls: list[str] = []

    def callback(done: PublishFuture[str]) -> None:
        calls.append(done.result())
        if len(calls) == 1:
            raise ActorKilled

    future.add_done_callback(callback)
    with pytest.raises(ActorKilled):
        future.resolve(None)
    future.resolve(None)
    future.resolve(None)
    assert calls == ["id", "id"]


def test_the_monkey_goes_on_delivering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the tutorial's test, which hung in one of some hundred runs."""
    with perdure.System(store=perdure.MemoryStore()) as system:
        post = Interference(system, seed=1, targets=(), repeat=0.0, delay=1.0, stall=0.0, late_s=0.01)
        post.begin()
        try:
            with killed_where_it_enters_a_condition(monkeypatch):
                system.runtime.directory.tell("timer", "nothing that it knows")
            answered, found = in_thread(lambda: system.admin.metrics().published)
            answered.join(PATIENCE_S)
            assert found == [0]
        finally:
            in_thread(post.end)[0].join(PATIENCE_S)
        assert post.delayed > 0
