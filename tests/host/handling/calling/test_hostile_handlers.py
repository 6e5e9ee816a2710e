"""Exceptions, leases and delays that no log can hold: they affect at most the message of that handler or consumer.

Input that publishers give is in `test_bad_input`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Note:
    """A message."""

    text: str


class Silent(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("lone surrogate \ud800"),
        ValueError("x" * 3_000_000),
        Silent(),
        perdure.Reject("\udfff"),
        perdure.Reject(7),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_no_text_of_an_exception_stops_the_journal(folder: Path, error: Exception) -> None:
    """A message with any such exception becomes a dead letter, and the system goes on, also after a restart."""
    system = perdure.System(folder)

    @system.handler(Note, retries=0)
    def handle(note: Note, ctx: perdure.Context) -> None:
        raise error

    with system:
        system.publish(Note("a"))
        system.drain(timeout=10)
        assert system.admin.metrics().runtime_counters == {}
    with system:
        (letter,) = system.dead_letters.list()
        assert len(letter.error) <= 4_000
        assert isinstance(letter.reason, str)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e300])
def test_impossible_waits(folder: Path, seconds: float) -> None:
    """Leases and delays that no log can hold are refused in the call."""
    with perdure.System(folder) as system:
        system.publish(Note("a"))
        with pytest.raises(ValueError, match="lease"):
            system.checkout(Note, lease=seconds)
        delivery = system.checkout(Note)
        assert delivery is not None
        with pytest.raises(ValueError, match="lease"):
            delivery.extend(seconds)
        if seconds != 0:
            with pytest.raises(ValueError, match="delay"):
                perdure.Retry(delay=seconds)
        delivery.heartbeat(10, "\ud800")
        delivery.requeue("\ud800" * 10)
        assert system.admin.metrics().runtime_counters == {}


@pytest.mark.parametrize("backoff", [perdure.Fixed(1e300), perdure.Exponential(1e200, maximum=1e300)])
def test_backoff_longer_than_time(folder: Path, until: Until, backoff: perdure.Backoff) -> None:
    """A backoff of more than a hundred years waits for a hundred years."""
    system = perdure.System(folder)

    @system.handler(Note, backoff=backoff)
    def handle(note: Note, ctx: perdure.Context) -> None:
        raise ValueError("later")

    with system:
        system.publish(Note("a"))
        until(lambda: system.admin.metrics().delayed == 1)
        assert system.admin.metrics().runtime_counters == {}


def test_backoff_that_fails(folder: Path, until: Until, clock: perdure.ManualClock) -> None:
    """A message whose own backoff raises is tried again."""

    class Broken:
        def delay(self, attempt: int, rng: float) -> float:
            raise ZeroDivisionError

    system = perdure.System(folder, clock=clock)

    @system.handler(Note, retries=1, backoff=Broken())
    def handle(note: Note, ctx: perdure.Context) -> None:
        raise ValueError("always")

    with system:
        system.publish(Note("a"))
        until(lambda: system.admin.metrics().delayed == 1)
        clock.advance(1)
        system.drain(timeout=10)
        (letter,) = system.dead_letters.list()
        assert (letter.exception, letter.attempts) == ("ValueError", 2)
        assert system.admin.metrics().runtime_counters == {}


class NoClass(Exception):
    """Says nothing about its class."""

    @property
    def __class__(self) -> type:
        """Fail."""
        raise ValueError("no class")

    @__class__.setter
    def __class__(self, _kind: type) -> None: ...


class NoPast(Exception):
    """Says nothing of where it was raised."""

    @property
    def __traceback__(self) -> Any:  # type: ignore[override]  # it raises
        """Fail."""
        raise RuntimeError

    @property
    def __cause__(self) -> Any:  # type: ignore[override]  # it raises
        """Fail."""
        raise RuntimeError


class NoModule(BaseException):
    """Comes from nowhere."""

    __module__ = None  # type: ignore[assignment]  # foreign code may


class Quits(Exception):
    """Ends the program when it is printed."""

    def __str__(self) -> str:
        """Fail for good."""
        raise SystemExit(3)


class Unequal(type):
    """The class of a class that cannot be compared."""

    def __subclasscheck__(cls, other: type) -> bool:
        """Fail."""
        raise RuntimeError("no subclass")


class Alone(Exception, metaclass=Unequal):
    """Cannot be caught by its class."""


def _requested_retry() -> perdure.Retry:
    error = perdure.Retry(delay=1.0)
    error.delay = float("nan")
    return error


HOSTILE: dict[str, Callable[[], BaseException]] = {
    "class": NoClass,
    "traceback": NoPast,
    "module": NoModule,
    "quits": Quits,
    "alone": Alone,
    "retry": _requested_retry,
    "exits": SystemExit,
    "generator": GeneratorExit,
}


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_of_any_class_fails_its_attempt_and_nothing_else(folder: Path, *, is_async: bool) -> None:
    system = perdure.System(folder, options=perdure.Options(retries=0, log_failures=None, log_dead_letters=None))

    def fail(note: Note) -> None:
        error = HOSTILE[note.text]()
        raise error

    async def afail(note: Note) -> None:
        fail(note)

    system.handler(Note, parallelism=2)(afail if is_async else fail)
    with system:
        system.publish_many([Note(text) for text in HOSTILE], keep_result=60.0)
        system.publish_many([Note(text) for text in HOSTILE])
        system.drain(timeout=60)
        letters = system.dead_letters.list()
        assert len(letters) == 2 * len(HOSTILE)
        assert "LeaseExpired" not in {letter.exception for letter in letters}
        assert system.admin.metrics().runtime_counters == {}


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_a_backoff_or_a_class_that_quits_fails_its_attempt_and_nothing_else(folder: Path, error: BaseException) -> None:
    class Quitting:
        def delay(self, attempt: int, rng: float) -> float:
            raise error

    @perdure.message(name="test.Unmade")
    @attrs.define
    class Unmade:
        text: str

        def __attrs_post_init__(self) -> None:
            if arrives:
                raise error

    system = perdure.System(folder, options=perdure.Options(log_failures=None, log_dead_letters=None))
    arrives: list[bool] = []
    system.handler(Note, retries=1, backoff=Quitting())(lambda note: 1 / 0)
    system.handler(Unmade)(lambda message: None)
    with system:
        system.publish(Note("a"))
        ident = system.publish(Unmade("b"))
        keyed = system.publish(Unmade("b"), key="k")
        arrives.append(True)
        system.admin.resume()
        system.drain(timeout=60)
        assert system.dead_letters.stats().total >= 1
        assert {system.state(ident).status, system.state(keyed).status} <= {"dead", "completed"}
        assert system.admin.metrics().runtime_counters == {}


def test_a_handler_that_has_ended_publishes_nothing(folder: Path) -> None:
    """What it would publish could commit with nothing, so there is no id for it."""
    system = perdure.System(folder)
    contexts: list[perdure.Context] = []

    @system.handler(Note)
    def handle(note: Note, ctx: perdure.Context) -> None:
        contexts.append(ctx)
        if note.text == "cancelled":
            system.cancel(ctx.id)
            ctx.publish(Note("commits with nothing"))

    with system:
        ended = system.publish(Note("ends"))
        system.publish(Note("cancelled"))
        system.drain(timeout=60)
        for context in contexts:
            if context.id == ended:  # the handler of the other one may still run
                with pytest.raises(perdure.LeaseLost, match=context.id):
                    context.publish(Note("too late"))
        assert len(contexts) == 2
        assert system.admin.metrics().published == 2


def test_a_handler_that_changes_its_headers_changes_no_others(folder: Path) -> None:
    """Each attempt, each consumer and the dead letter have the headers that were published."""
    system = perdure.System(folder)
    seen: list[dict[str, str]] = []

    @system.handler(Note, retries=1, backoff=0)
    def handle(note: Note, ctx: perdure.Context) -> None:
        headers: Any = ctx.headers
        seen.append(dict(headers))
        headers["a"] = "changed"
        raise ValueError

    with system:
        ident = system.publish(Note("x"), headers={"a": "1"})
        system.drain(timeout=60)
        assert seen == [{"a": "1"}, {"a": "1"}]
        letter = system.dead_letters.get(ident)
        assert letter.headers == {"a": "1"}
        other = system.publish("by hand", headers={"a": "1"})
        delivery = system.checkout(str)
        assert delivery is not None
        taken: Any = delivery.headers
        taken["a"] = "changed"
        delivery.reject("no")
        assert system.dead_letters.get(other).headers == {"a": "1"}
