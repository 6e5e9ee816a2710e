"""Message types: their counts and handlers, and one type with its settings and what an operator can change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from perdure.console.pages.parts.page_rows import type_rows
from perdure.events.errors import UnknownMessageType

if TYPE_CHECKING:
    from perdure.actors.sessions.figures import HandlerFigures
    from perdure.console.pages.parts.page import Page
    from perdure.events.handlers.registry import Handler

__all__ = ["OPTIONS", "ask_figures", "handlers_of", "one_type", "settings_of", "types"]

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
    page.show(
        "type.html",
        name=name,
        row=row,
        handler=handler,
        settings=settings_of(handler),
        running=handlers_of(page).get(name),
        groups=[group for group in view.groups.biggest() if group.cause.type == name][:10],
        options=OPTIONS,
    )


def settings_of(handler: Handler | None) -> dict[str, Any]:
    """Return the settings of a handler as its code has registered it, by their labels; empty for none."""
    if handler is None:
        return {}
    registered = handler.registered
    return {
        "workers in each process": handler.parallelism,
        "retries": registered.retries,
        "timeout": f"{registered.timeout_us / 1e6:g} s" if registered.timeout_us else "none",
        "lease": f"{registered.lease_us / 1e6:g} s" if registered.lease_us else "none",
        "deduplication": registered.dedup,
        "backoff": registered.backoff,
        **(registered.more or {}),
    }


def ask_figures(page: Page) -> None:
    """Fetch the figures of the run. It asks no actor: a page must not wait for a log that cannot be written."""
    page.figures = None if page.at else page.console.figures.newest()


def handlers_of(page: Page) -> dict[str, HandlerFigures]:
    """Return the handlers as they run now; empty for the past, and where nothing runs."""
    return {} if page.figures is None else {kind: info for kind, info in page.figures.handlers.items() if page.looks(kind)}
