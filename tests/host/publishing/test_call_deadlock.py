"""A call that could never be answered, for want of a handler or a worker, is refused at once and publishes nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Job:
    """A message."""

    depth: int = 0


@attrs.frozen
class Errand:
    """Another message."""

    depth: int = 0


@attrs.frozen
class Unhandled:
    """A message without a handler."""


def _nested(system: perdure.System, kind: Any, other: Any, **options: Any) -> None:
    @system.handler(kind, retries=0, **options)
    def handle(message: Any) -> int:
        return 0 if not message.depth else 1 + int(system.call(other(message.depth - 1), timeout=60.0))


def _nested_async(system: perdure.System, kind: Any, other: Any, **options: Any) -> None:
    @system.handler(kind, retries=0, **options)
    async def handle(message: Any) -> int:
        return 0 if not message.depth else 1 + int(await system.acall(other(message.depth - 1), timeout=60.0))


@pytest.mark.parametrize("register", [_nested, _nested_async])
def test_call_of_the_own_type_needs_another_worker(folder: Path, register: Any) -> None:
    system = perdure.System(folder)
    register(system, Job, Job, parallelism=2)
    with system:
        assert system.call(Job(1), timeout=20.0) == 1
        with pytest.raises(perdure.WouldDeadlock, match="no worker is left"):
            system.call(Job(2), timeout=20.0)
        system.drain(timeout=20.0)
        assert system.admin.metrics().published == 4  # what could not be answered was not published


@pytest.mark.parametrize("register", [_nested, _nested_async])
def test_two_handlers_that_call_each_other(folder: Path, register: Any) -> None:
    system = perdure.System(folder)
    register(system, Job, Errand)
    register(system, Errand, Job)
    with system:
        assert system.call(Job(1), timeout=20.0) == 1
        with pytest.raises(perdure.WouldDeadlock, match="no worker is left"):
            system.call(Job(2), timeout=20.0)
        assert system.call(Errand(1), timeout=20.0) == 1  # nothing of it is left behind


def test_waiting_for_a_result_of_the_own_type(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Job, retries=0)
    def handle(job: Job) -> Any:
        if not job.depth:
            return 0
        return system.result(system.publish(Job(0), keep_result=60.0), timeout=60.0)

    with system, pytest.raises(perdure.WouldDeadlock, match="of its own type"):
        system.call(Job(1), timeout=20.0)


def test_call_of_a_type_without_a_handler(folder: Path) -> None:
    system = perdure.System(folder)
    with system:
        with pytest.raises(perdure.UnknownMessageType, match="nothing here handles"):
            system.call(Unhandled())
        assert system.admin.metrics().published == 0
        assert system.checkout(Unhandled) is None
        with pytest.raises(TimeoutError):  # a consumer is at work: it may come
            system.call(Unhandled(), timeout=0.01)


def test_wait_for_a_result_that_no_handler_gives_is_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with perdure.System(folder) as system:
        ident = system.publish(Unhandled(), keep_result=60.0)
        with caplog.at_level(logging.WARNING, "perdure"), pytest.raises(TimeoutError):
            system.result(ident, timeout=0.05)
    assert any("no handler here takes its type" in record.getMessage() for record in caplog.records)
