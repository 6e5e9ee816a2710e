"""Why a request got no answer, in words: what is known of the process that should own a folder, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.store.disk.folder_lock import live_owner

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["why_no_answer"]


def why_no_answer(folder: Path, pid: int | None, refusal: str, last_error: str, *, is_connected: bool) -> str:
    """Return why no owner answers.

    Args:
        folder: the owner's.
        pid: of the process that listens or has listened there; None where that is not known.
        refusal: what it said instead of a welcome.
        last_error: what became of the last connection, or of the try to make one.
        is_connected: there is a connection now.
    """
    process = f"process {pid}" if pid else "a process of another pid namespace"
    if refusal:
        return f"{process}, which owns the folder {folder}, refuses: {refusal}"
    if is_connected:
        named = pid or "PID"
        return (
            f"{process} owns the folder {folder} and does not answer. It is stopped (`ps -o stat= -p {named}` says T; "
            f"`kill -CONT {named}` lets it go on), still recovers a long log, or has no time left for other threads."
        )
    owner = live_owner(folder)
    if owner is not None:
        return (
            f"process {owner} owns the folder {folder}, and does not listen there: start it with "
            f"`perdure.System(folder, shared=True)`. ({last_error})"
        )
    return (
        f"no process owns the folder {folder} ({last_error}). Start one with `perdure.System({str(folder)!r}, shared=True)`, "
        "whose handlers then take what clients publish."
    )
