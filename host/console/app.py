"""The console of one log as an ASGI application: the page of each address, and the act of each form.

Not here: answers to requests (`answers`), checks of requests (`guard.gate`), contents of pages (`pages`), acts (`console_acts`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from perdure.console import console_acts
from perdure.console.answers import Answers
from perdure.console.guard import keys
from perdure.console.guard.gate import LOOPBACK, Gate
from perdure.console.guard.permits import Permits
from perdure.console.guard.sessions import Sessions
from perdure.console.pages import BEFORE, PAGES, Page
from perdure.console.pages.parts.figures import figures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from starlette.requests import Request

    from perdure.console.console import Console
    from perdure.console.guard.seal import Seal
    from perdure.console.guard.sessions import OneTimeToken
    from perdure.console.pages.parts.kept_form import KeptForm

__all__ = ["application", "pages_of"]


def application(
    console: Console,
    *,
    hosts: Collection[str] = LOOPBACK,
    origins: Collection[str] = (),
    principal: Callable[[Request], str | None] | None = None,
    token: OneTimeToken | None = None,
    used: Callable[[], object] = lambda: None,
    seal: Callable[[], Seal] = keys.of_process,
) -> Any:
    """Return the application; see `perdure.console.asgi`. `token` opens a session where no `principal` is given."""
    app = pages_of(console)
    return Gate(app, hosts=hosts, origins=origins, sessions=Sessions(seal), principal_of=principal, token=token, used=used)


def pages_of(console: Console) -> Starlette:
    """Return the pages alone, without the checks of requests. The end of their lifespan closes the console."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        console.close()

    return Starlette(routes=_OneLog(console).routes, lifespan=lifespan)


class _OneLog(Answers):
    """Answers requests from one console."""

    def __init__(self, console: Console) -> None:
        super().__init__(PAGES, console_acts.ACTS, console)
        self._console = console

    def rights_of(self, request: Request) -> Permits:
        return Permits(request.scope["session"].principal, self._console.rights, self._console.front is not None)

    def page_of(self, request: Request, rights: Permits, kept: KeptForm | None) -> Page:
        return Page(self._console, request, rights, kept=kept)

    def make(self, page: Page, make: Callable[[Page], None]) -> str:
        if make in BEFORE:
            BEFORE[make](page)
        if page.asked("a"):  # first, so that it does not wait for the locks of the second view
            with self._console.view(page.asked("a")) as other:
                page.other = figures(other, page.looks)
        with self._console.view(page.at) as view:
            page.begin(view)
            make(page)
            return self.rendered(page)

    def do(self, name: str, request: Request) -> str:
        session, form = request.scope["session"], request.scope["form"]
        return console_acts.do(name, console_acts.ActRequest(self._console, session, self.rights_of(request), form))
