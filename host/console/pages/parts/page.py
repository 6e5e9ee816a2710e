"""`Page`: one page that is being made: what was asked for, the view it shows, and what all pages have in common."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import attrs

from perdure.console.pages.parts.seen import types_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from perdure.actors.sessions.figures import RunFigures
    from perdure.console.console import Console, View
    from perdure.console.guard.permits import Permits
    from perdure.console.guard.sessions import Session
    from perdure.console.log.pace import StillReading
    from perdure.console.pages.parts.figures import Figures
    from perdure.console.pages.parts.kept_form import KeptForm
    from perdure.events.vocabulary import Published
    from perdure.store import PartitionOwner

__all__ = ["Page"]

LOOK = "x-perdure-look"
"""The header of a page's own look at what is new: it takes no notice away that the next page is to show."""
NEVER = r"(?!)"
MARKS = 200
"""Positions of the time slider."""
NAVIGATION = (
    ("/", "Overview", "o"),
    ("/messages", "Messages", "m"),
    ("/dead-letters", "Dead letters", "d"),
    ("/types", "Types", "t"),
    ("/schedules", "Schedules", "s"),
    ("/processes", "Processes", "p"),
    ("/actors", "Actors", "a"),
    ("/acts", "Acts", "c"),
)


@attrs.define(eq=False)
class Page:
    """One page for one request. A page sets `template` and `more`; `context` adds what every template needs."""

    console: Console
    request: Request
    rights: Permits
    template: str = "failed.html"
    status: int = 200
    more: dict[str, Any] = attrs.field(factory=dict)
    view: View | None = None
    other: Figures | None = None
    """The moment that this one is compared with."""
    figures: RunFigures | None = None
    """The latest figures of the run; None for the past, and where nothing runs or answers."""
    partitions: list[PartitionOwner] = attrs.field(factory=list)
    """All partitions of the queue, where that is in a database that answers."""
    count: dict[str, Any] | None = None
    """What a bulk act would change that is asked for."""
    kept: KeptForm | None = None
    """The form that led here and was refused."""
    began_s: float = attrs.field(factory=time.perf_counter)
    _looks: dict[str, bool] = attrs.field(factory=dict)
    _hidden: re.Pattern[str] | None = None
    _hidden_types: frozenset[str] | None = None

    @property
    def at(self) -> str:
        """The moment that is asked for; empty for now."""
        text = self.asked("at")
        return "" if text == "now" else text

    @property
    def session(self) -> Session:
        """The browser's session."""
        found: Session = self.request.scope["session"]
        return found

    @property
    def shown(self) -> View:
        """The view that the page shows."""
        if self.view is None:
            msg = "a page is made from a view"
            raise RuntimeError(msg)
        return self.view

    def begin(self, view: View) -> None:
        """Make the page from this view."""
        self.view = view

    def asked(self, name: str) -> str:
        """Return a parameter of the address; empty where it is missing."""
        return self.request.query_params.get(name, "").strip()

    def asked_number(self, name: str) -> int:
        """Return a whole number of the address, 0 where it is missing or none."""
        text = self.asked(name)
        return int(text) if text.isdecimal() and len(text) < 19 else 0  # noqa: PLR2004 - of 64 bits

    def show(self, template: str, **more: Any) -> None:
        """Show a template with these values."""
        self.template = template
        self.more.update(more)

    # --- what templates call -----------------------------------------------------------------------------------------------

    def link(self, path: str, **params: object) -> str:
        """Return the address of a page at the moment that is shown."""
        given = {"at": self.at or None, **params}
        query = urlencode({name: str(value) for name, value in given.items() if value not in (None, "", 0)})
        root = self.request.scope.get("root_path", "")
        return f"{root}{quote(path)}{f'?{query}' if query else ''}"

    def here(self, **params: object) -> str:
        """Return the address of this page with some parameters changed."""
        given = {**dict(self.request.query_params), **params}
        query = urlencode({name: str(value) for name, value in given.items() if value not in (None, "", 0)})
        return f"{self._path}{f'?{query}' if query else ''}"

    def partition(self, number: int, path: str = "/") -> str:
        """Return the address of a page of another partition; empty where this console shows one alone."""
        console = self.console
        if number not in console.partitions_shown:
            return ""
        root = self.request.scope.get("root_path", "").removesuffix(f"/partition/{console.number}")
        return f"{root}/partition/{number}{quote(path)}"

    def all_partitions(self, section: str = "/") -> str:
        """Return the address of a page of all partitions, the first one where there is none such; empty where this is one log."""
        root: str = self.request.scope.get("root_path", "").removesuffix(f"/partition/{self.console.number}")
        path = section if any(section == known for known, _, _ in NAVIGATION) else "/"
        return f"{root}{path}" if self.console.partitions_shown else ""

    @property
    def _path(self) -> str:
        root: str = self.request.scope.get("root_path", "")
        path: str = self.request.scope["path"].removeprefix(root) or "/"
        return root + quote(path)

    @property
    def back(self) -> str:
        """Where a form leads back to: this page, as an address within the console, and not to another count of a bulk act."""
        root = self.request.scope.get("root_path", "")
        return self.here(at=None, do=None).removeprefix(root) or "/"

    @property
    def again(self) -> str:
        """Where a form is shown again that was refused: this page, also with a count of a bulk act."""
        root = self.request.scope.get("root_path", "")
        return self.here(at=None).removeprefix(root) or "/"

    def refused(self, act: str, **fixed: object) -> KeptForm | None:
        """Return what was typed into a form of this page that was refused; None of all others."""
        return self.kept if self.kept is not None and self.kept.is_of(act, fixed) else None

    def typed(self, act: str, field: str, default: object = "") -> object:
        """Return what a field of a form is to hold: what was typed, where the form was refused."""
        return default if self.kept is None or self.kept.act != act else self.kept.fields.get(field, default)

    def may(self, action: str, type_name: str = "") -> bool:
        """Return whether the principal may do that now: the past cannot be changed."""
        is_past = self.view is not None and self.view.is_past
        return not is_past and self.rights.may(action, type_name)

    def looks(self, type_name: str) -> bool:
        """Return whether the principal may look at messages of a type."""
        known = self._looks.get(type_name)
        if known is None:
            known = self._looks[type_name] = self.rights.may("look", type_name)
        return known

    def hides(self, text: str) -> bool:
        """Return whether a text names a message type that the principal may not look at."""
        if self._hidden is None:
            names = [re.escape(name) for name in self.hidden_types]
            self._hidden = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)" if names else NEVER)
        return self._hidden.search(text) is not None

    @property
    def hidden_types(self) -> frozenset[str]:
        """The types that there are, now or at the moment that is shown, and that the principal may not look at."""
        if self._hidden_types is None:
            known = {name for states in (self.shown.states, self.shown.live.states) for name in types_of(states)}
            self._hidden_types = frozenset(name for name in known if not self.looks(name))
        return self._hidden_types

    @property
    def sees_all(self) -> bool:
        """Whether the principal may look at all types: otherwise what counts them together is not shown."""
        return not self.hidden_types

    @property
    def dead(self) -> int:
        """How many dead letters there are that the principal may look at."""
        return sum(count for name, count in self.shown.groups.by_type.items() if self.looks(name))

    def sees(self, published: Published) -> bool:
        """Return whether the payload of a message is shown to this principal."""
        kind = published.type
        return self.console.is_open(kind) or (self.session.is_revealed(kind) and self.rights.may("reveal", kind))

    def context(self) -> dict[str, Any]:
        """Return everything that the template needs."""
        view = self.view
        path = self.request.scope["path"].removeprefix(self.request.scope.get("root_path", "")) or "/"
        section = "/" + path.strip("/").split("/", 1)[0]
        is_passing = LOOK in self.request.headers or "reading" in self.more
        return {
            "page": self,
            "console": self.console,
            "navigation": NAVIGATION,
            "section": section,
            "csrf": self.session.csrf,
            "notice": "" if is_passing else self.session.take_notice(),
            "view": view,
            "slider": self._slider(self.more.get("reading")),
            "took_ms": (time.perf_counter() - self.began_s) * 1000,
            **self.more,
        }

    def _slider(self, reading: StillReading | None) -> dict[str, Any] | None:
        """Return the positions of the time slider: moments, with the event that each stands for. None before any is known.

        `reading`: the page is still to come, for the moment that is asked for.
        """
        live = self.console.live
        if self.view is None and (reading is None or not live.is_open):
            return None
        newest = live.states
        marks = [mark for mark in live.index.marks(MARKS) if mark[0] < newest.seq] + [(newest.seq, newest.at_us)]
        is_past = self.view.is_past if self.view is not None else bool(self.at)
        seq = self.view.seq if self.view is not None else min(newest.seq, self.asked_number("at") or newest.seq)
        position = len(marks) - 1
        if is_past:
            position = max((i for i, mark in enumerate(marks) if mark[0] <= seq), default=0)
        return {
            "marks": json.dumps([[seq, at_us // 1000] for seq, at_us in marks]),
            "last": len(marks) - 1,
            "position": position,
            "known": live.history_known(),
            "newest": newest.seq,
            "is_past": is_past,
            "seq": seq,
            "at_us": self.view.at_us if self.view is not None else marks[position][1],
        }
