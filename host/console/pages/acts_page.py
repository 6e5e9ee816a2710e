"""Acts of operators: what each asked for, what it changed, from where and why. Newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.console.pages.parts.page_rows import acts_until

if TYPE_CHECKING:
    from perdure.console.pages.parts.page import Page

__all__ = ["acts"]

PAGE = 100


def acts(page: Page) -> None:
    """Show acts."""
    view = page.shown
    action, principal = page.asked("action"), page.asked("by")
    before = page.asked_number("before") or view.seq + 1
    known = list(acts_until(page))
    selected = [
        act
        for act in known
        if act.seq < before and (not action or act.action == action) and (not principal or act.principal == principal)
    ]
    page.show(
        "acts.html",
        rows=selected[:PAGE],
        following=page.here(before=selected[PAGE - 1].seq) if len(selected) > PAGE else "",
        actions=sorted({act.action for act in known}),
        principals=sorted({act.principal for act in known}),
        action=action,
        principal=principal,
    )
