"""The pages: each takes a `Page` and fills in what its template shows. None scans everything: looks are bounded, and go on by link.

- `overview` is the first page, `whole_queue/` has pages of all partitions; `compare` has two moments side by side.
- `messages` and `message`, `dead_letters_page`, `types`, `acts_page`, and `inside` (schedules, processes, actors).
- `parts/` has what pages are made of and share; `bulk/` has the forms of bulk acts.

Not here: markup (`templates/`), charts (`drawing/`), how the log is read (`log/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.console.pages import acts_page, compare, dead_letters_page, inside, message, messages, overview, types
from perdure.console.pages.parts.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BEFORE", "PAGES", "Page"]

PAGES: dict[str, Callable[[Page], None]] = {
    "/": overview.overview,
    "/types": types.types,
    "/types/{type:name}": types.one_type,
    "/messages": messages.messages,
    "/messages/{id:name}": message.message,
    "/dead-letters": dead_letters_page.dead_letters,
    "/schedules": inside.schedules,
    "/processes": inside.processes,
    "/actors": inside.actors,
    "/acts": acts_page.acts,
    "/compare": compare.compare,
}
"""Every page by its address."""

BEFORE: dict[Callable[[Page], None], Callable[[Page], None]] = {
    overview.overview: types.ask_figures,
    types.types: types.ask_figures,
    types.one_type: types.ask_figures,
    inside.processes: inside.ask_partitions,
    inside.actors: types.ask_figures,
    dead_letters_page.dead_letters: dead_letters_page.count_first,
    messages.messages: messages.count_first,
}
"""What a page asks of others before it has its view: while it has that, no other page is made."""
