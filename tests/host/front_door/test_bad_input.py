"""Bad input through the front door: each kind gets a clear error, and nothing is lost or half done.

Bounds that only time can lift (a full backlog) are in `test_publishing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@attrs.frozen
class Note:
    """A message."""

    text: str


@attrs.frozen
class Strange:
    """A message."""

    thing: object


def local_class() -> type:
    @attrs.frozen
    class Local:
        text: str

    return Local


def test_publish_before_start_and_after_stop(folder: Path) -> None:
    """Each call says that the system does not run and what to do; no call is carried out later."""
    system = perdure.System(folder)
    ways: list[Any] = [
        lambda: system.publish(Note("a")),
        lambda: system.publish_many([Note("a")]),
        lambda: system.submit(Note("a")),
        lambda: system.checkout(Note),
        lambda: system.drain(timeout=1),
        system.admin.metrics,
        system.dead_letters.list,
    ]
    for way in ways:
        with pytest.raises(perdure.NotRunning, match=r"not started.*start\(\)"):
            way()
    with system:
        system.publish(Note("kept"))
    for way in ways:
        with pytest.raises(perdure.NotRunning, match="stopped"):
            way()
    with system:
        assert system.admin.metrics().published == 1


def test_starting_twice_and_stopping_twice(folder: Path) -> None:
    system = perdure.System(folder)
    with system:
        with pytest.raises(perdure.PerdureError, match="running already"):
            system.start()
        system.publish(Note("a"))
    system.stop()


@pytest.mark.parametrize(
    ("message", "options", "error", "field"),
    [
        (Note("x" * 3000), {}, perdure.PayloadTooLarge, "payload_bytes_max"),
        (Strange(object()), {}, perdure.InvalidMessage, "message"),
        (Strange(2**70), {}, perdure.InvalidMessage, "message"),
        (lambda: None, {}, perdure.InvalidMessage, "message"),
        (Note("a"), {"key": "k" * 513}, perdure.InvalidMessage, "key"),
        (Note("a"), {"key": ""}, perdure.InvalidMessage, "key"),
        (Note("a"), {"key": 7}, perdure.InvalidMessage, "key"),
        (Note("a"), {"key": "\ud800"}, perdure.InvalidMessage, "key"),
        (Note("a"), {"id": ""}, perdure.InvalidMessage, "id"),
        (Note("a"), {"correlation_id": "c" * 1000}, perdure.InvalidMessage, "correlation_id"),
        (Note("a"), {"group": b"g"}, perdure.InvalidMessage, "group"),
        (Note("a"), {"delay": -1}, perdure.InvalidMessage, "delay"),
        (Note("a"), {"delay": float("nan")}, perdure.InvalidMessage, "delay"),
        (Note("a"), {"delay": "soon"}, perdure.InvalidMessage, "delay"),
        (Note("a"), {"delay": 1, "at": 1.0}, perdure.InvalidMessage, "delay, at"),
        (Note("a"), {"at": "tomorrow"}, perdure.InvalidMessage, "at"),
        (Note("a"), {"at": float("inf")}, perdure.InvalidMessage, "at"),
        (Note("a"), {"at": float("nan")}, perdure.InvalidMessage, "at"),
        (Note("a"), {"ttl": -1}, perdure.InvalidMessage, "ttl"),
        (Note("a"), {"priority": 1001}, perdure.InvalidMessage, "priority"),
        (Note("a"), {"priority": 1.5}, perdure.InvalidMessage, "priority"),
        (Note("a"), {"priority": "high"}, perdure.InvalidMessage, "priority"),
        (Note("a"), {"headers": {"a": 1}}, perdure.InvalidMessage, "headers"),
        (Note("a"), {"headers": {str(n): "v" for n in range(65)}}, perdure.InvalidMessage, "headers"),
        (Note("a"), {"headers": {"a": "v" * 9000}}, perdure.InvalidMessage, "headers"),
        (Note("a"), {"headers": {"a": "\ud800"}}, perdure.InvalidMessage, "headers"),
        (Note("a"), {"headers": "a=b"}, perdure.InvalidMessage, "headers"),
        (Note("a"), {"prio": 1}, TypeError, "prio"),
    ],
)
def test_bad_message_or_option(folder: Path, message: object, options: dict[str, Any], error: type[Exception], field: str) -> None:
    """Scenario 10: the error names the field and is raised before anything is written; the system goes on."""
    with perdure.System(folder, options=perdure.Options(payload_bytes_max=2000)) as system:
        seq = _settled_seq(system)
        with pytest.raises(error, match=field):
            system.publish(message, **options)
        with pytest.raises(error, match=field):
            system.publish_many([Note("good"), message] if not options else [Note("a")], **options)
        with pytest.raises(error, match=field):
            system.submit(message, **options)
        metrics = system.admin.metrics()
        assert (metrics.published, metrics.seq) == (0, seq)
        system.publish(Note("good"))
        assert system.admin.metrics().published == 1


def _settled_seq(system: perdure.System) -> int:
    """Return the sequence number once the start itself is recorded."""
    while not list(system.audit.events(type="Started")):
        pass
    return system.admin.metrics().seq


def test_type_that_could_not_be_found_again(folder: Path) -> None:
    """Scenario 10: a local class is refused, and the error says what to do; with a name it is accepted."""
    local = local_class()
    with perdure.System(folder) as system:
        with pytest.raises(perdure.UnknownMessageType, match=r"Local.*perdure\.message"):
            system.publish(local("a"))
        with pytest.raises(perdure.UnknownMessageType, match="Local"):
            system.handler(local)
        with pytest.raises(perdure.UnknownMessageType, match="Local"):
            system.checkout(local)
        named: Any = perdure.message(name="notes.local")(local)
        system.publish(named("a"))
        delivery = system.checkout(named)
        assert delivery is not None
        assert delivery.message == named("a")


def test_unknown_type_for_the_operator(folder: Path) -> None:
    """The error of scaling a type without a handler lists the known names."""
    system = perdure.System(folder)
    system.handler(Note)(lambda note, ctx: None)
    with system:
        with pytest.raises(perdure.UnknownMessageType, match=r"Nobody.*Note"):
            system.admin.scale("Nobody", 3)
        with pytest.raises(ValueError, match="-1"):
            system.admin.scale(Note, -1)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda system: system.admin.scale(Note, 1.5), "^n: .*1.5"),
        (lambda system: system.admin.scale(Note, True), "^n: .*True"),
        (lambda system: system.admin.scale(Note, "3"), "^n: .*'3'"),
        (lambda system: system.admin.scale(Note, 10**9), "^n: .*1000000000"),
        (lambda system: system.admin.scale(3, 1), "type.*3"),
        (lambda system: system.admin.pause(3), "type.*3"),
        (lambda system: system.admin.configure(Note, retries=1.5), "retries.*1.5"),
        (lambda system: system.admin.configure(Note, renew="no"), "renew.*'no'"),
        (lambda system: system.admin.configure(Note, dedup="reject"), "dedup.*cannot be changed"),
        (lambda system: system.dead_letters.list(limit="x"), "limit.*'x'"),
        (lambda system: system.dead_letters.list(type=3), "type.*3"),
        (lambda system: system.dead_letters.list(reason=3), "reason.*3"),
        (lambda system: system.dead_letters.replay_all(reason=b"x"), "reason.*b'x'"),
        (lambda system: system.dead_letters.purge("x"), "older_than.*'x'"),
        (lambda system: system.dead_letters.purge(-5), "older_than.*-5"),
        (lambda system: system.dead_letters.purge(float("nan")), "older_than.*nan"),
        (lambda system: system.checkout(Note, lease=0), "lease.*0"),
        (lambda system: system.checkout(Note, lease="long"), "lease.*'long'"),
        (lambda system: system.checkout(Note, retries=-3), "retries.*-3"),
        (lambda system: system.checkout(3), "type.*3"),
        (lambda system: system.handler("notes.Note"), "type.*'notes.Note'"),
    ],
)
def test_invalid_argument_of_an_operator_is_refused(folder: Path, wrong: Callable[[Any], Any], expected: str) -> None:
    """The error is raised in the caller's thread, with name, value and allowed range; no actor receives the command."""
    system = perdure.System(folder, options=perdure.Options(restart_budget=0))
    system.handler(Note)(lambda note, ctx: None)
    with system:
        with pytest.raises(ValueError, match=expected):
            wrong(system)
        system.publish(Note("goes on"))
        system.drain(timeout=10.0)
        assert "actor_deaths" not in system.admin.metrics().runtime_counters


def test_batch_over_its_bounds(folder: Path) -> None:
    options = perdure.Options(batch_max=3, batch_bytes_max=1000)
    with perdure.System(folder, options=options) as system:
        with pytest.raises(perdure.PayloadTooLarge, match="several calls"):
            system.publish_many([Note("a")] * 4)
        with pytest.raises(perdure.PayloadTooLarge, match="several calls"):
            system.publish_many([Note("a" * 600)] * 2)
        with pytest.raises(perdure.InvalidMessage, match="id"):
            system.publish_many([Note("a"), Note("b")], id="one")  # type: ignore[call-arg]  # wrong on purpose
        assert system.publish_many([]) == []
        assert system.admin.metrics().published == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"parallelism": -1}, "parallelism"),
        ({"parallelism": 1.5}, "parallelism"),
        ({"parallelism": True}, "parallelism"),
        ({"timeout": 0}, "timeout"),
        ({"lease": "long"}, "lease"),
        ({"retries": -1}, "retries"),
        ({"dedup": "keep"}, "dedup"),
        ({"isolation": "galaxy"}, "isolation"),
    ],
)
def test_bad_handler_option(folder: Path, options: dict[str, Any], field: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match=field):
        perdure.System(folder).handler(Note, **options)


class Handless:
    """A class without a method `handle`."""


class Deaf:
    def handle(self) -> None: ...


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (3, "a function or a class, not 3"),
        (Handless, "has no method `handle"),
        (Deaf, "Deaf takes no argument for the message"),
        (lambda: None, "takes no argument for the message"),
        (lambda note, ctx, other: None, "takes 'other', which names no service"),
    ],
)
def test_handler_that_could_not_be_called_is_refused_at_once(folder: Path, handler: Any, expected: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match=expected):
        perdure.System(folder).handler(Note)(handler)


def test_second_handler_of_a_type(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Note)(lambda note, ctx: None)
    with pytest.raises(perdure.InvalidMessage, match="has a handler already"):
        system.handler(Note)(lambda note, ctx: None)


@pytest.mark.parametrize("name", ["backlog_max", "payload_bytes_max", "retries", "snapshots_kept", "grace_s"])
def test_bad_option(name: str) -> None:
    for wrong, error in ((-1, ValueError), ("many", TypeError), (True, TypeError), (None, TypeError), (float("nan"), Exception)):
        options: dict[str, Any] = {name: wrong}
        with pytest.raises(error, match=rf"^{name} must be a .*number >= \d.*, not {wrong!r}$"):
            perdure.Options(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"durability": "maybe"}, "durability must be 'fsync' or 'os', not 'maybe'"),
        ({"dead_letters_full": None}, "dead_letters_full must be 'drop_oldest' or 'drop_newest', not None"),
        ({"history_folder": 3}, "history_folder must be a path (text or pathlib.Path) or None, not 3"),
        ({"publish_timeout_s": float("inf")}, "publish_timeout_s must be a number >= 0 and <= 3.1536e+09, not inf"),
        ({"batch_max": 1.5}, "batch_max must be a whole number >= 1 and <= 200,000, not 1.5"),
    ],
)
def test_error_of_a_bad_option_has_its_name_its_value_and_what_is_allowed(options: dict[str, Any], expected: str) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        perdure.Options(**options)
    assert str(raised.value) == expected
