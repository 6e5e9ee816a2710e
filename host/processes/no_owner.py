"""Why a request got no answer, in words: what is known of the process that should own a folder, and what to do."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from perdure.store.disk.folder_lock import live_owner

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NoAnswer", "why_no_answer"]


class NoAnswer(NamedTuple):
    """Why a request got no answer: a clause, without a full stop; and what to do, a sentence."""

    why: str
    advice: str


def why_no_answer(folder: Path, pid: int | None, refusal: str, last_error: str, *, is_connected: bool) -> NoAnswer:
    """Return why no owner answers, and what to do.

    Args:
        folder: the owner's.
        pid: of the process that listens or has listened there; None where that is not known.
        refusal: what it said instead of a welcome.
        last_error: what became of the last connection, or of the try to make one.
        is_connected: there is a connection now.
    """
    process = f"process {pid}" if pid else "a process of another pid namespace"
    if refusal:
        return NoAnswer(f"{process}, which owns the folder {folder}, refuses: {refusal.rstrip('.')}", "")
    if is_connected:
        return NoAnswer(
            f"{process}, which owns the folder {folder}, does not answer",
            f"If it is stopped, `kill -CONT {pid or 'PID'}` lets it go on; if it is busy, or reads a long log, try again later.",
        )
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
