"""Log lines of failed attempts and dead letters: one each, at the levels that the host sets, without payloads."""

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

    secret: str


NAME = f"{__name__}.Job"


def _fail(job: Job, ctx: Any) -> None:
    message = "first line\nsecond line \x1b[31m"
    raise LookupError(message)


async def _fail_later(job: Job, ctx: Any) -> None:
    _fail(job, ctx)


def _lines(caplog: pytest.LogCaptureFixture, part: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if part in record.getMessage()]


@pytest.mark.parametrize(
    ("handler", "options"), [(_fail, {}), (_fail, {"timeout": 30.0}), (_fail_later, {}), (_fail, {"isolation": "process"})]
)
def test_failed_attempts_and_dead_letters_are_logged(
    folder: Path, caplog: pytest.LogCaptureFixture, handler: Any, options: dict[str, Any]
) -> None:
    system = perdure.System(folder)
    system.handler(Job, retries=1, backoff=0, **options)(handler)
    with system:
        ident = system.publish(Job("payload-of-it"), key="ORD-1\n")
        system.drain(timeout=30.0)
        system.dead_letters.list()
    failed, dead = _lines(caplog, "failed:"), _lines(caplog, "is a dead letter")
    assert [(r.levelno, r.attempt) for r in failed] == [(logging.WARNING, 1), (logging.WARNING, 2)]  # type: ignore[attr-defined]  # from `extra`
    assert [(r.levelno, r.attempt) for r in dead] == [(logging.ERROR, 2)]  # type: ignore[attr-defined]  # from `extra`
    for record in [*failed, *dead]:
        extra = record.__dict__
        assert (extra["type"], extra["id"], extra["key"]) == (NAME, ident, "ORD-1\n")
        text = record.getMessage()
        assert NAME in text
        assert ident in text
        assert "ORD-1" in text
        assert "LookupError" in text
        assert text.isprintable()
    assert "payload-of-it" not in caplog.text


def test_batches_timeouts_and_rejects_are_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder)

    @system.batch_handler(Job, retries=0)
    def reject(batch: perdure.Batch[Job]) -> None:
        for item in batch:
            item.reject("no such thing")

    with system:
        system.publish_many([Job("a"), Job("b")])
        system.drain(timeout=10.0)
        system.dead_letters.list()
    assert len(_lines(caplog, "failed: perdure.Reject: no such thing")) == 2
    assert len(_lines(caplog, "is a dead letter after 1 attempt: no such thing")) == 2


def test_level_is_an_option_and_off_logs_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "perdure")
    for failures, dead in (("info", "critical"), (None, None), ("off", "OFF")):
        system = perdure.System(folder, options=perdure.Options(log_failures=failures, log_dead_letters=dead))
        system.handler(Job, retries=0)(_fail)
        caplog.clear()
        with system:
            system.publish(Job("a"))
            system.drain(timeout=10.0)
            system.dead_letters.list()
        output = [(r.levelname) for r in [*_lines(caplog, "failed: LookupError"), *_lines(caplog, "is a dead letter")]]
        assert output == (["INFO", "CRITICAL"] if failures == "info" else [])
        assert bool(_lines(caplog, "how attempt 1")) is (failures == "info")


@pytest.mark.parametrize("wrong", ["LOUD", 30, True, ""])
def test_unknown_level_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="log_failures"):
        perdure.Options(log_failures=wrong)
    with pytest.raises(ValueError, match="log_dead_letters"):
        perdure.Options(log_dead_letters=wrong)


def test_requested_retry_is_not_logged_as_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder)

    @system.handler(Job)
    def later(job: Job, ctx: perdure.Context) -> None:
        if ctx.attempt == 1:
            raise perdure.Retry(delay=0.0)

    with caplog.at_level(logging.INFO, "perdure"), system:
        system.publish(Job("a"))
        system.drain(timeout=10.0)
    assert [r.levelname for r in _lines(caplog, "failed:")] == ["INFO"]


def test_dead_letters_of_an_earlier_run_are_not_logged_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def run(*messages: Job) -> int:
        system = perdure.System(folder)
        system.handler(Job, retries=0)(_fail)
        caplog.clear()
        with system:
            system.publish_many(messages)
            system.drain(timeout=10.0)
            system.dead_letters.list()
        return len(_lines(caplog, "is a dead letter"))

    assert run(Job("a"), Job("b")) == 2
    assert run() == 0
