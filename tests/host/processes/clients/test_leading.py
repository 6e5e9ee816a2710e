"""Threads that wait for answers read the connection themselves: one leads, the others follow; any of them may be interrupted."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.processes.to_owner import leading
from perdure.processes.to_owner.leading import Leadership, LedAnswer
from perdure.processes.to_owner.link import Link
from tests.host.processes.shop import Order, Quote
from tests.programs import Program, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.host.conftest import Until


def leadership(lead: Any, left: list[str]) -> Leadership:
    return Leadership(lambda: True, lead, lambda: left.append("left"))


def test_a_leader_that_leaves_hands_over_to_a_thread_that_follows(monkeypatch: pytest.MonkeyPatch, until: Until) -> None:
    monkeypatch.setattr(leading, "LEAD_S", 60.0)  # the second one follows for as long, also on a busy machine
    led: list[LedAnswer] = []
    left: list[str] = []
    go = threading.Event()

    def lead(answer: LedAnswer, until_s: float) -> None:
        led.append(answer)
        if len(led) == 1:
            go.wait(10)
        answer.resolve(len(led))

    parts = leadership(lead, left)
    made: list[LedAnswer] = []

    def wait() -> None:
        made.append(LedAnswer(parts))  # an answer belongs to the thread that makes it
        made[-1].wait(60)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(2)]
    threads[0].start()
    until(lambda: len(led) == 1)
    threads[1].start()
    until(lambda: list(parts._followers) == made[1:] != [])
    go.set()
    for thread in threads:
        thread.join(10)
    assert led == made
    assert left == ["left"], "the last one leaves the reading to the connection's own thread"
    assert not parts.is_taken


def test_an_interrupted_leader_reads_no_more_and_another_does() -> None:
    left: list[str] = []

    def lead(answer: LedAnswer, until_s: float) -> None:
        raise KeyboardInterrupt

    parts = leadership(lead, left)
    with contextlib.suppress(KeyboardInterrupt):
        LedAnswer(parts).wait(10)
    assert not parts.is_taken
    assert left == ["left"]


def test_a_follower_whose_time_is_over_when_it_is_to_lead_hands_that_on() -> None:
    left: list[str] = []
    parts = leadership(lambda *_: None, left)
    answer = LedAnswer(parts)
    answer.promote()
    with contextlib.suppress(TimeoutError):
        answer.wait(0)
    assert left == ["left"]


def test_an_answer_between_two_waits_is_not_lost() -> None:
    parts = Leadership(lambda: False, lambda *_: None, lambda: None)
    answer = LedAnswer(parts)
    answer.promote()
    answer.resolve(5)
    assert answer.wait(1) == 5


def interrupted_reads(monkeypatch: pytest.MonkeyPatch, *, in_thread: int) -> list[str]:
    """Have a thread interrupted after bytes were taken from the socket, before all is done with them."""
    read = Link.read
    happened: list[str] = []

    def interrupted(link: Link) -> Iterator[Any]:
        frames = list(read(link))
        if frames and not happened and threading.get_ident() == in_thread:
            happened.append("interrupted")
            raise KeyboardInterrupt
        yield from frames

    monkeypatch.setattr(Link, "read", interrupted)
    return happened


def test_a_keyboard_interrupt_while_a_thread_reads_for_all_loses_no_answer(
    client: perdure.Client, owner: perdure.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = interrupted_reads(monkeypatch, in_thread=threading.get_ident())
    published = 0
    futures = []
    while not happened:
        futures += [client.submit(Order(n)) for n in range(20)]
        with contextlib.suppress(KeyboardInterrupt):
            client.publish(Order(1))
        published += 21
    assert len({future.result(20) for future in futures}) == len(futures)
    assert client.call(Quote(2), timeout=20) == 4
    assert owner.admin.metrics().published == published + 1, "each counts once"


def test_a_keyboard_interrupt_while_a_thread_writes_costs_the_connection_and_nothing_else(
    client: perdure.Client, owner: perdure.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Link.write
    happened: list[str] = []

    def interrupted(link: Link) -> None:
        if link.out and not happened:
            happened.append("interrupted")
            link.sock.send(link.out[0][:5])
            raise KeyboardInterrupt
        write(link)

    client.publish(Order(1))
    monkeypatch.setattr(Link, "write", interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        client.publish(Order(2))
    assert client.publish(Order(3))
    client.drain(30)
    assert owner.admin.metrics().published == 3


@pytest.mark.parametrize("where", ["wait", "write"])
def test_a_publish_within_a_publish_of_the_same_thread_ends_as_in_a_signal_handler(
    client: perdure.Client, owner: perdure.System, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    inner: list[str] = []
    one_step = getattr(Link, where)

    def interrupted(link: Link, *args: Any) -> Any:
        if not inner and threading.current_thread() is threading.main_thread():
            inner.append("begun")
            inner.append(client.publish(Order(2)))
        return one_step(link, *args)

    client.publish(Order(1))
    monkeypatch.setattr(Link, where, interrupted)
    while not inner:  # the connection's own thread may have been the one that read or wrote
        client.publish(Order(3), id="outer")
    client.drain(30)
    assert inner[1:]
    assert owner.admin.metrics().published == 3, "each counts once"


def test_a_client_publishes_in_a_signal_handler_whatever_that_interrupts(client: perdure.Client, owner: perdure.System) -> None:
    outcomes: list[str] = []

    def publish(*_: object) -> None:
        if len(outcomes) < 60:
            outcomes.append("begun")
            outcomes[-1] = client.publish(Order(2))
            signal.setitimer(signal.ITIMER_REAL, 0.002)

    before = signal.signal(signal.SIGALRM, publish)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        published = set()
        while len(outcomes) < 60:
            published.add(client.publish(Order(1)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    client.drain(30)
    assert owner.admin.metrics().published == len(published | set(outcomes))


def test_interrupts_of_the_main_thread_at_any_moment(client: perdure.Client, owner: perdure.System) -> None:
    """Each raises within a publish, and not in the code of the test, where it would end the process."""
    ends = threading.Event()
    may_raise = False

    def raise_once(*_: object) -> None:
        nonlocal may_raise
        if may_raise:
            may_raise = False
            raise KeyboardInterrupt

    def interrupt() -> None:
        for _ in range(40):
            time.sleep(0.003)
            _thread.interrupt_main()
        ends.set()

    other = threading.Thread(target=interrupt)
    told: list[str] = []
    interrupted = 0
    before = signal.signal(signal.SIGINT, raise_once)
    try:
        other.start()
        while not ends.is_set():
            try:
                may_raise = True
                told.append(client.publish(Order(1)))
                may_raise = False
            except KeyboardInterrupt:
                interrupted += 1
    finally:
        other.join()
        signal.signal(signal.SIGINT, before)
    assert interrupted
    assert client.publish(Order(2))
    client.drain(30)
    assert all(client.state(ident).status == "completed" for ident in told)
    assert owner.admin.metrics().completed >= len(told) + 1


def test_a_callback_that_a_waiting_thread_runs_must_not_wait(client: perdure.Client) -> None:
    caught: list[BaseException] = []

    def callback(_: object) -> None:
        try:
            client.publish(Order(3))
        except perdure.WouldDeadlock as error:
            caught.append(error)

    while not caught:
        for n in range(5):
            client.submit(Order(n)).add_done_callback(callback)
        client.publish(Order(2))
    assert client.publish(Order(4)), "the thread itself may wait, as before"


def test_threads_and_coroutines_of_one_client_wait_side_by_side(client: perdure.Client, owner: perdure.System) -> None:
    def work() -> None:
        for n in range(50):
            client.publish(Order(n))

    async def main() -> None:
        await asyncio.gather(*(client.apublish(Order(n)) for n in range(50)))
        assert await client.acall(Quote(3), timeout=20) == 6

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    asyncio.run(main())
    for thread in threads:
        thread.join()
    assert owner.admin.metrics().published == 201


def test_a_fork_while_other_threads_wait_leaves_both_sides_at_work(client: perdure.Client) -> None:
    ends = threading.Event()

    def work() -> None:
        while not ends.is_set():
            client.publish(Order(1))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    client.publish(Order(2))
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        ends.set()
        for thread in threads:
            thread.join(20)
    assert client.publish(Order(3))


def test_an_idle_client_notices_the_end_of_its_owner(start: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process: Program = start()
    lost = threading.Event()
    with perdure.connect(folder) as client:
        client.publish(Order(1))
        monkeypatch.setattr(client._connection, "_on_lost", lost.set)
        process.kill()
        process.wait()
        assert lost.wait(20)


def test_a_program_that_is_interrupted_in_a_publish_ends_in_good_order(owner: perdure.System, folder: Path) -> None:
    program = (
        "import sys, os, signal, threading, perdure\n"
        "from tests.host.processes.shop import Order\n"
        "client = perdure.connect(sys.argv[1])\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    while True: client.publish(Order(1))\n"
        "except KeyboardInterrupt:\n"
        "    client.close()\n"
        "    print('closed')\n"
    )
    done = run(["-c", program, str(folder)], timeout=60)
    assert (done.stdout, done.stderr) == ("closed\n", "")
