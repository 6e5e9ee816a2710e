"""The console as an ASGI application: which address shows which page, and which form does what.

Not here: checks of requests (`guard.gate`), contents of pages (`pages`), acts (`console_acts`).
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles

from perdure.console import console_acts
from perdure.console.drawing.charts import sparkline
from perdure.console.guard import keys
from perdure.console.guard.gate import LOOPBACK, Gate
from perdure.console.guard.permits import Permits
from perdure.console.guard.sessions import Sessions
from perdure.console.log.pace import StillReading
from perdure.console.pages import BEFORE, PAGES, Page
from perdure.console.pages.dead_letters_page import expression_of
from perdure.console.pages.parts import texts
from perdure.console.pages.parts.figures import figures
from perdure.console.pages.parts.kept_form import KeptForm
from perdure.console.streaming import News, Stream
from perdure.events.errors import NotAllowed, PerdureError, UnknownMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from starlette.responses import Response

    from perdure.console.console import Console
    from perdure.console.guard.seal import Seal
    from perdure.console.guard.sessions import OneTimeToken

__all__ = ["BAD", "FORBIDDEN", "application", "pages_of", "static", "templates"]

HERE = Path(__file__).parent
COMING, FORBIDDEN, NOT_FOUND, BAD = 202, 403, 404, 400


class _Name(StringConvertor):
    """Any text in an address, also with slashes and line ends: ids and names of types may have both."""

    regex = "(?s:.*)"


register_url_convertor("name", _Name())


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
    """Return the application; see `perdure.console.asgi`. `token` opens it where no `principal` says who asks."""
    app = pages_of(console)
    return Gate(app, hosts=hosts, origins=origins, sessions=Sessions(seal), principal_of=principal, token=token, used=used)


def pages_of(console: Console) -> Starlette:
    """Return the pages alone, without what checks each request; closing them closes the console."""
    pages = _Pages(console)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        console.close()

    routes = [
        static(),
        Route("/live", pages.live),
        Route("/act/{name}", pages.act, methods=["POST"]),
        *pages.routes,
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def static() -> Mount:
    """Return the route of style, scripts and marks."""
    return Mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@functools.cache
def templates() -> jinja2.Environment:
    """Return the templates, compiled: no page waits for that."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters.update(texts.FILTERS)
    found.globals |= {"sparkline": sparkline, "expression_of": expression_of}
    for name in found.list_templates():
        found.get_template(name)
    return found


class _Pages:
    """Answers requests from one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._news = News(console)
        self._templates = templates()
        self.routes = [Route(path, self.show(page)) for path, page in PAGES.items()]
        """Of all pages."""

    def show(self, page: Callable[[Page], None]) -> Callable[[Request], Response]:
        """Return the endpoint of a page. It runs in a thread of its own, as a page reads the log."""

        def endpoint(request: Request) -> Response:
            return self._shown(request, page)

        return endpoint

    def _shown(self, request: Request, make: Callable[[Page], None], kept: KeptForm | None = None) -> Response:
        rights = self._rights(request)
        if not rights.may("look"):
            return PlainTextResponse(f"{rights.principal} may not look at this console\n", FORBIDDEN)
        page = Page(self._console, request, rights, kept=kept)
        try:
            if make in BEFORE:
                BEFORE[make](page)
            if page.asked("a"):  # before the other view, whose locks it must not wait for
                with self._console.view(page.asked("a")) as other:
                    page.other = figures(other, page.looks)
            with self._console.view(page.at) as view:
                page.begin(view)
                make(page)
                return HTMLResponse(self._templates.get_template(page.template).render(page.context()), page.status)
        except StillReading as error:
            return self._coming(page, error)
        except UnknownMessage as error:
            return self._failed(page, error, NOT_FOUND)
        except NotAllowed as error:
            return self._failed(page, error, FORBIDDEN)
        except (PerdureError, OSError) as error:
            return self._failed(page, error, BAD)

    def _coming(self, page: Page, reading: StillReading) -> Response:
        """Show how far the log is read that the page needs; it asks again by itself."""
        page.view, page.template = None, "reading.html"
        page.more = {"reading": reading}
        html = self._templates.get_template(page.template).render(page.context())
        return HTMLResponse(html, COMING, headers={"retry-after": "1"})

    def _failed(self, page: Page, error: Exception, status: int) -> Response:
        """Show what went wrong, with the way back to what can be shown."""
        page.template, page.status = "failed.html", status
        page.more["why"] = str(error)
        return HTMLResponse(self._templates.get_template(page.template).render(page.context()), status)

    async def act(self, request: Request) -> Response:
        """Do what a form asks for, then show the page it came from, with the outcome."""
        name, form = request.path_params["name"], request.scope["form"]
        session = request.scope["session"]
        root = request.scope.get("root_path", "")
        if name not in console_acts.ACTS:
            return PlainTextResponse("there is no such act\n", NOT_FOUND)
        asked = console_acts.ActRequest(self._console, session, self._rights(request), form)
        try:
            session.tell(await run_in_threadpool(console_acts.do, name, asked))
        except NotAllowed as error:
            return PlainTextResponse(f"{error}\n", FORBIDDEN)
        except (PerdureError, ValueError, TypeError, TimeoutError, OSError) as error:
            session.tell(f"Not done: {error}")
            kept = KeptForm(name, form, str(error))
            if kept.is_filled_in:
                again = await run_in_threadpool(self._again, request, _own_path(form.get("again", form.get("back", "/"))), kept)
                if again is not None:
                    return again
        return RedirectResponse(root + _own_path(form.get("back", "/")), 303)

    def _again(self, request: Request, address: str, kept: KeptForm) -> Response | None:
        """Return the page with the form that was refused, as it was filled in; None where that is no page of this console."""
        parts = urlsplit(address)
        path = request.scope.get("root_path", "") + unquote(parts.path)
        scope = {**request.scope, "method": "GET", "path": path, "query_string": parts.query.encode()}
        for page, route in zip(PAGES.values(), self.routes, strict=True):
            match, more = route.matches(scope)
            if match is Match.FULL:
                return self._shown(Request({**scope, **more}), page, kept)
        return None

    async def live(self, request: Request) -> Response | Stream:
        """Tell an open page, again and again, that there is something new."""
        if not self._rights(request).may("look"):
            return PlainTextResponse("not allowed\n", FORBIDDEN)
        return Stream(self._news)

    def _rights(self, request: Request) -> Permits:
        return Permits(request.scope["session"].principal, self._console.rights, self._console.front is not None)


def _own_path(text: str) -> str:
    """Return an address of this console that a form names, without a host; its first page where it names none."""
    try:
        parts = urlsplit(text)
    except ValueError:  # a bracket without its other half
        return "/"
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith("//") or "\\" in text:
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")
