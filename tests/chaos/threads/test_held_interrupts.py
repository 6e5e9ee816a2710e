"""Signals are held back where an interrupt would leave a lock held, and delivered where that is safe."""

from __future__ import annotations

import signal
import threading

import pytest

from perdure.chaos.scenarios.held_interrupts import held_interrupts


def test_an_interrupt_is_delivered_where_the_block_asks_for_it() -> None:
    steps = []
    with held_interrupts() as deliver:
        deliver()
        signal.raise_signal(signal.SIGINT)
        steps.append("went on")
        with pytest.raises(KeyboardInterrupt):
            deliver()
        deliver()  # once
    assert steps == ["went on"]


def test_an_interrupt_that_was_not_delivered_comes_at_the_end() -> None:
    steps = []

    def block() -> None:
        with held_interrupts():
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert steps == ["went on"]


def test_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with held_interrupts():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_have_no_signals_to_hold() -> None:
    done = []

    def block() -> None:
        with held_interrupts() as deliver:
            deliver()
            done.append(True)

    thread = threading.Thread(target=block)
    thread.start()
    thread.join(60.0)
    assert done == [True]
