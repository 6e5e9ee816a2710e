"""`Asking`: one question to many partitions, several of them at the same time, and the answer or error of each.

Answers and errors are kept by partition, so their order is that of the partitions, whichever answered first. Not here: the System
or client of a partition (`perdure.cluster.partition_access`), and the question.
"""

from __future__ import annotations

import contextvars
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.store.disk.background_thread import BackgroundThread, NoThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["AT_ONCE", "Asking", "ask_each", "in_words"]

AT_ONCE = 4
"""How many partitions of other processes one call asks at the same time, each in a thread and over a connection of its own."""
ERRORS_NOTED = 5
R = TypeVar("R")


class Asking(Generic[R]):
    """One question to many partitions. The thread that calls `run` asks too; the other threads copy its context (`acting_as`).

    Args:
        numbers: the partitions, in the order in which they are asked.
        ask: asks one. It may be called again for a partition after an asynchronous exception has ended the thread that asked.
        at_once: how many are asked at the same time.
        failures_max: after this number of errors, no further partition is asked.
    """

    def __init__(self, numbers: Iterable[int], ask: Callable[[int], R], *, at_once: int = AT_ONCE, failures_max: int = 1) -> None:
        self._numbers = tuple(numbers)
        self._left = deque(self._numbers)
        self._ask = ask
        self._at_once = at_once
        self._failures_max = failures_max
        self.answers: dict[int, R] = {}
        """By partition, in the order in which they arrived."""
        self.errors: dict[int, Exception] = {}
        self.is_over = False
        """No further partition is asked; an `ask` that waits long may check this."""

    def run(self) -> None:
        """Ask all partitions; return once none is being asked. An exception that is raised in this thread ends it at once.

        Raises:
            WouldDeadlock: the thread is that of an actor which must not wait for others.
        """
        check_may_wait()
        threads = self._helpers(min(self._at_once, len(self._numbers)) - 1)
        try:
            self._take_turns()
            for thread in threads:
                thread.join()
            self._left.extend(number for number in self._numbers if number not in self.answers and number not in self.errors)
            self._take_turns()
        finally:
            self.is_over = True

    def _helpers(self, count: int) -> list[BackgroundThread]:
        threads: list[BackgroundThread] = []
        for n in range(count):
            thread = BackgroundThread(contextvars.copy_context().run, f"perdure-asking-{n}", self._take_turns)
            try:
                thread.start()
            except NoThread:
                break  # the threads that did start ask all partitions
            threads.append(thread)
        return threads

    def _take_turns(self) -> None:
        while not self.is_over:
            try:
                number = self._left.popleft()
            except IndexError:
                return
            try:
                self.answers[number] = self._ask(number)
            except Exception as error:  # noqa: BLE001 - whatever a partition raises; `in_order` raises it
                self.errors[number] = error
                self.is_over = self.is_over or len(self.errors) >= self._failures_max

    def in_order(self, *, is_act: bool = False) -> dict[int, R]:
        """Return all answers, by partition in their order.

        Args:
            is_act: the question is an act; the error's notes name the partitions in which it was done.

        Raises:
            The error of the first partition that has one, with a note for each of the others.
        """
        if not self.errors:
            return {number: self.answers[number] for number in self._numbers}
        first, *others = sorted(self.errors)
        error = self.errors[first]
        done = f". These partitions have done it, or go on with it: {in_words(self.answers)}" if is_act else ""
        error.add_note(f"in partition {first}{done}")
        for number in others[:ERRORS_NOTED]:
            error.add_note(f"in partition {number}: {type(self.errors[number]).__name__}: {self.errors[number]}")
        if len(others) > ERRORS_NOTED:
            error.add_note(f"and in partitions {in_words(others[ERRORS_NOTED:])}")
        raise error


def ask_each(numbers: Iterable[int], ask: Callable[[int], R], *, at_once: int = AT_ONCE, is_act: bool = False) -> dict[int, R]:
    """Return what each partition answers, by its number, in the order of `numbers`.

    If one fails, a question is not put to further partitions. An act goes on in the others, until `AT_ONCE` of them have failed.

    Raises:
        WouldDeadlock: as `Asking.run`.
        Others as `Asking.in_order`.
    """
    asking = Asking(numbers, ask, at_once=at_once, failures_max=AT_ONCE if is_act else 1)
    asking.run()
    return asking.in_order(is_act=is_act)


def in_words(numbers: Iterable[int]) -> str:
    """Return numbers as text: `0 to 3, 7`; "none" for none."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in spans]
    return ", ".join(texts) or "none"
