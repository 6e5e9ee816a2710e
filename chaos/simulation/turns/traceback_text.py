"""The text of a traceback without what differs between machines."""

from __future__ import annotations

import traceback

__all__ = ["traceback_without_paths"]


def traceback_without_paths(error: BaseException) -> str:
    """Return modules and functions, without paths and lines, which differ between folders and Pythons."""
    parts: list[str] = []
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        frames = traceback.walk_tb(following.__traceback__)
        lines = [f"  in {frame.f_globals.get('__name__', '?')}: {frame.f_code.co_qualname}\n" for frame, _ in frames]
        parts.append("".join(["Traceback:\n", *lines, *traceback.format_exception_only(following)]))
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\n".join(reversed(parts))
