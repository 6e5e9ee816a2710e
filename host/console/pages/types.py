"""Message types: their counts and handlers, and one type with its settings and what an operator can change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from perdure.console.pages.rows import type_rows
from perdure.events.errors import PerdureError, UnknownMessageType

if TYPE_CHECKING:
    from perdure.actors.sessions.figures import HandlerFigures, RunFigures
    from perdure.console.pages.page import Page

__all__ = ["figures_of", "handlers_of", "one_type", "types"]

OPTIONS = ("timeout", "lease", "renew", "retries", "rate")


def types(page: Page) -> None:
    """Show all types."""
    view = page.shown
    now_us = view.at_us if view.is_past else round(time.time() * 1e6)
    page.show(
        "types.html",
        rows=[row for row in type_rows(view, now_us) if page.looks(row.type)],
        handlers=handlers_of(page),
        paused=view.states.handlers.paused,
    )


def one_type(page: Page) -> None:
    """Show one type.

    Raises:
        UnknownMessageType: there was none of that name at that moment.
    """
    view, name = page.shown, page.request.path_params["type"]
    page.rights.rights.require(page.rights.principal, "look", [name])
    now_us = view.at_us if view.is_past else round(time.time() * 1e6)
    handler = view.states.handlers.handlers.get(name)
    row = next((row for row in type_rows(view, now_us) if row.type == name), None)
    if row is None and handler is None:
        msg = f"no message of type {name!r} was published, and no handler registered, up to this moment"
        raise UnknownMessageType(msg)
    registered = None if handler is None else handler.registered
    settings: dict[str, Any] = {}
    if handler is not None and registered is not None:
        settings = {
            "workers in each process": handler.parallelism,
            "retries": registered.retries,
            "timeout": f"{registered.timeout_us / 1e6:g} s" if registered.timeout_us else "none",
            "lease": f"{registered.lease_us / 1e6:g} s" if registered.lease_us else "none",
            "deduplication": registered.dedup,
            "backoff": registered.backoff,
            **(registered.more or {}),
        }
    page.show(
        "type.html",
        name=name,
        row=row,
        handler=handler,
        settings=settings,
        running=handlers_of(page).get(name),
        groups=[group for group in view.groups.biggest() if group.cause.type == name][:10],
        options=OPTIONS,
    )


def handlers_of(page: Page) -> dict[str, HandlerFigures]:
    """Return the handlers as they run now; empty for the past, and where nothing runs."""
    figures = figures_of(page)
    return {} if figures is None else figures.handlers


def figures_of(page: Page) -> RunFigures | None:
    """Return what the run tells of itself without asking an actor: a page must not wait for a log that cannot be written."""
    if page.shown.is_past or page.console.front is None:
        return None
    try:
        return page.console.front.run_figures()
    except (PerdureError, TimeoutError, OSError):
        return None
