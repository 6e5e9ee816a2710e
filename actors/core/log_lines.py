"""The log lines about messages: an attempt that failed, a message that became a dead letter. One line each, without payload.

What is on record about them is in the log of events; these lines go to the host's own log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from perdure.actors.core.texts import one_line
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from perdure.actors.core.tuning import Tuning
    from perdure.events.commands import Fail
    from perdure.events.vocabulary import DeadLettered, Published

__all__ = ["log_dead_letter", "log_failure"]

logger = GuardedLogger("perdure")


def log_failure(
    tuning: Tuning, published: Published, attempt: int, fail: Fail, error: BaseException | None, *, asked: bool
) -> None:
    """Log a failed attempt at `Options.log_failures`, and its traceback at DEBUG; `asked`: the handler asked for the retry."""
    if tuning.log_failures is None:
        return
    level = logging.INFO if asked else logging.getLevelNamesMapping()[tuning.log_failures]
    if logger.isEnabledFor(level):
        what = f"attempt {attempt} of {_named(published)} failed: {fail.exception}: {one_line(fail.message)}"
        logger.log(level, "%s", what, extra=_extra(published, attempt))
    if error is not None and logger.isEnabledFor(logging.DEBUG):
        logger.debug("how attempt %d of %s failed:", attempt, _named(published), exc_info=error)


def log_dead_letter(tuning: Tuning, letter: DeadLettered) -> None:
    """Log a dead letter at `Options.log_dead_letters`."""
    if tuning.log_dead_letters is None:
        return
    level = logging.getLevelNamesMapping()[tuning.log_dead_letters]
    if logger.isEnabledFor(level):
        published = letter.published
        attempts = f"{letter.attempts} attempt{'' if letter.attempts == 1 else 's'}"
        what = f"{_named(published)} is a dead letter after {attempts}: {one_line(letter.reason)}"
        if letter.exception and letter.exception not in letter.reason:
            what = f"{what} (last: {letter.exception}: {one_line(letter.message)})"
        logger.log(level, "%s", what, extra=_extra(published, letter.attempts))


def _named(published: Published) -> str:
    key = "" if published.key is None else f" (key {one_line(published.key)!r})"
    return f"{one_line(published.type)} {one_line(published.id)}{key}"


def _extra(published: Published, attempt: int) -> dict[str, Any]:
    return {"type": published.type, "id": published.id, "attempt": attempt, "key": published.key}
