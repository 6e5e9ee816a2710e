"""Why a request got no answer, in words: what is known of the process that should own a folder, and what to do."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.events.commands import Publish
from perdure.events.errors import NotRunning, PublishTimeout
from perdure.store.disk.advice import ADVICE
from perdure.store.disk.folder_lock import live_owner

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.actors.requests.request import Request
    from perdure.events.errors import PerdureError
    from perdure.events.processes.log_reading import Reading

__all__ = ["NoAnswer", "not_taken", "unanswered", "why_no_answer"]


OF_THIS_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of a connection that are this process's own, and not the owner's."""


class NoAnswer(NamedTuple):
    """Why a request got no answer: a clause, without a full stop; and what to do, a sentence."""

    why: str
    advice: str


def why_no_answer(
    folder: Path,
    pid: int | None,
    refusal: str,
    last_error: str,
    *,
    is_connected: bool,
    reading: Reading | None = None,
    now_s: float = 0.0,
) -> NoAnswer:
    """Return why no owner answers, and what to do.

    Args:
        folder: the owner's.
        pid: of the process that listens or has listened there; None where that is not known.
        refusal: the error that it sent instead of a welcome.
        last_error: what became of the last connection, or of the try to make one.
        is_connected: there is a connection now.
        reading: what it has told of its log, which it reads.
        now_s: on the clock by which it has told that.
    """
    process = f"process {pid}" if pid else "a process of another pid namespace"
    if refusal:
        return NoAnswer(f"{process}, which owns the folder {folder}, refuses: {refusal.rstrip('.')}", "")
    if is_connected and reading is not None and not reading.is_silent(now_s):
        return NoAnswer(
            f"{process}, which owns the folder {folder}, {reading.in_words(now_s)}",
            "It answers once that is done: wait for longer, or try again later.",
        )
    if is_connected:
        was = "" if reading is None else f": it {reading.in_words(now_s)}"
        return NoAnswer(
            f"{process}, which owns the folder {folder}, does not answer{was}",
            f"If it is stopped, `kill -CONT {pid or 'PID'}` lets it go on; if it is busy, or reads a long log, try again later.",
        )
    for number in OF_THIS_PROCESS:
        if last_error.endswith(os.strerror(number)):
            return NoAnswer(f"this process cannot connect to the owner of the folder {folder}: {last_error}", f"{ADVICE[number]}.")
    owner = live_owner(folder)
    if owner is not None:
        return NoAnswer(
            f"process {owner} owns the folder {folder} and does not listen there: {last_error}",
            "Let it start with `perdure.System(folder, shared=True)`.",
        )
    if last_error.endswith(os.strerror(errno.EACCES)):
        return NoAnswer(
            f"this user (uid {os.geteuid()}) may not reach the owner of the folder {folder}: {last_error}",
            f"Run it as the folder's user, or let the owner start with `Options(allowed_uids={{{os.geteuid()}: ['publish']}})`.",
        )
    return NoAnswer(
        f"no process owns the folder {folder}: {last_error}",
        f"Start one with `perdure.System({str(folder)!r}, shared=True)`, which handles messages, or `perdure serve {folder}`.",
    )


def not_taken(answer: NoAnswer, waited_s: float) -> NotRunning:
    """Return the error of a request that no owner has taken in time."""
    why, advice = answer
    return NotRunning(f"{why} (waited for {waited_s:g} s). {advice}".rstrip())


def unanswered(request: Request, answer: NoAnswer, waited_s: float) -> PerdureError:
    """Return the error of a request that has no answer in time; where an owner may have it, it says that this is in doubt."""
    if not request.writes:
        return not_taken(answer, waited_s)
    why, advice = answer
    command = request.command.publish() if isinstance(request.command, SubmitBatch) else request.command
    if not isinstance(command, Publish):
        msg = f"{why} (waited for {waited_s:g} s), so what was asked may or may not be done. {advice}"
        return NotRunning(msg.rstrip())
    ids = tuple(draft.id for draft in command.drafts)
    msg = (
        f"{why} (waited for {waited_s:g} s), so {len(ids)} message(s) may or may not be published. Publish again "
        f"with the same id to settle it (the first is {ids[0]}, all are in `.ids`). {advice}"
    )
    return PublishTimeout(msg.rstrip(), ids)
