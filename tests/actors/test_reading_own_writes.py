"""A caller that was answered finds what is on record wherever it asks, whichever actor has just died and reads the log anew.

How a term of a decider begins is in `test_deciders`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.events.commands import Replay
from perdure.events.queue.dead_letters import replay_item
from perdure.events.queue.searching.letter_search import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.store import Frame

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    number: int


class SlowStore(perdure.MemoryStore):
    """A store whose log is read to its end by the actor named in `reader` only when `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = ""
        self.reads = threading.Event()
        self.go = threading.Event()

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        yield from super().frames(after, until)
        if self.reader and threading.current_thread().name == f"perdure-{self.reader}":
            self.reads.set()
            assert self.go.wait(PATIENCE_S)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.001)


def ask_while_it_reads(
    system: perdure.System, store: SlowStore, name: str, write: Callable[[], object], ask: Callable[[], Any]
) -> Any:
    """Kill an actor, write while its successor reads the log, and ask that one before it has read to the end."""
    store.reader = name
    system.actors.kill(name)
    assert store.reads.wait(PATIENCE_S)
    write()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    outstanding = system.runtime.pending.outstanding
    until(lambda: any(request.target == name for request in list(outstanding.values())))
    store.go.set()
    thread.join(PATIENCE_S)
    return answers[0]


@pytest.mark.parametrize("before", [0, 3])
def test_dead_letter_of_a_drained_queue_is_listed_while_the_log_is_read(before: int) -> None:
    store = SlowStore()
    system = perdure.System(store=store)

    @system.handler(Job, retries=0)
    def fail(job: Job) -> None:
        raise ValueError(job.number)

    with system:
        system.publish_many([Job(n) for n in range(before)])
        system.drain(timeout=PATIENCE_S)

        def die() -> None:
            system.publish_many([Job(n) for n in range(100, 104)])
            system.drain(timeout=PATIENCE_S)

        letters = ask_while_it_reads(system, store, "dead_letters", die, system.dead_letters.list)
        assert [letter.message.number for letter in letters][:4] == [103, 102, 101, 100]
        assert len(letters) == before + 4


def test_what_was_purged_is_no_longer_listed_while_the_log_is_read() -> None:
    store = SlowStore()
    system = perdure.System(store=store)

    @system.handler(Job, retries=0)
    def fail(job: Job) -> None:
        raise ValueError(job.number)

    with system:
        system.publish_many([Job(n) for n in range(3)])
        system.drain(timeout=PATIENCE_S)
        found = system.ask("dead_letters", Selection())
        system.admin.pause(Job)

        def replay() -> None:
            system.ask("queue", Replay([replay_item(letter, reset_retries=True) for letter in found]))

        assert ask_while_it_reads(system, store, "dead_letters", replay, system.dead_letters.list) == []
        assert len(found) == 3
