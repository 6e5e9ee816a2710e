"""A mailbox that several actors share: an actor that waits for a time gets an item that comes, or learns that none did."""

from __future__ import annotations

import threading
import time
from queue import Empty

import pytest

from perdure.actors.core.threads.mailbox import Mailbox


def test_an_item_that_is_there_is_taken_at_once() -> None:
    mailbox = Mailbox()
    mailbox.put("a")
    assert mailbox.within(0.0) == "a"
    with pytest.raises(Empty):
        mailbox.within(0.001)


def test_a_waiting_thread_is_woken_by_notify() -> None:
    mailbox = Mailbox()
    found: list[object] = []
    waits = threading.Thread(target=lambda: found.append(mailbox.within(30.0)))
    began_s = time.monotonic()
    waits.start()
    mailbox.put("a")
    mailbox.notify()
    waits.join()
    assert found == ["a"]
    assert time.monotonic() - began_s < 15.0


def test_no_thread_waits_for_ever_if_another_takes_the_item_that_woke_it() -> None:
    """Found by a hang of workers: `SimpleQueue.get(timeout=...)` of CPython 3.11 does, once its time is over by then."""
    mailbox = Mailbox()
    stop = threading.Event()
    taken: list[int] = [0, 0, 0]

    def consume(i: int) -> None:
        while not stop.is_set():
            try:
                mailbox.within(0.0005)
            except Empty:
                continue
            taken[i] += 1

    consumers = [threading.Thread(target=consume, args=(i,), daemon=True) for i in range(3)]
    for thread in consumers:
        thread.start()
    for n in range(4000):
        mailbox.put(n)
        mailbox.notify()
        if not n % 7:
            time.sleep(0.0003)  # so that they are about to give up when the next comes
    while not mailbox.empty():
        time.sleep(0.001)
    stop.set()
    for thread in consumers:
        thread.join(10.0)
        assert not thread.is_alive()
    assert sum(taken) == 4000
