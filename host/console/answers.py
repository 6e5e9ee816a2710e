"""`Answers`: what the applications of one log and of all partitions share: pages by their addresses, forms, event stream.

Not here: the tables of pages and acts (`app`, `whole_console`), checks of requests (`guard.gate`).
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles

from perdure.console.drawing.charts import sparkline
from perdure.console.log.pace import StillReading
from perdure.console.pages.dead_letters_page import expression_of
from perdure.console.pages.parts import texts
from perdure.console.pages.parts.kept_form import KeptForm
from perdure.console.streaming import News, Stream
from perdure.events.errors import NotAllowed, PerdureError, UnknownMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from starlette.responses import Response

    from perdure.console.console import Console
    from perdure.console.guard.permits import Permits
    from perdure.console.pages.parts.page import Page

__all__ = ["Answers", "static", "templates"]

HERE = Path(__file__).parent
COMING, FORBIDDEN, NOT_FOUND, BAD = 202, 403, 404, 400


class _Name(StringConvertor):
    """Any text in an address, including slashes and line ends: ids and names of types may have both."""

    regex = "(?s:.*)"


register_url_convertor("name", _Name())


class Answers(ABC):
    """Answers requests with pages, and forms with acts. Endpoints of pages and acts run in threads of the server's pool.

    Args:
        pages: the function that makes each page, by its address.
        acts: the names of the acts that forms may request.
        consoles: the consoles of the logs that are shown.
    """

    def __init__(self, pages: Mapping[str, Callable[[Any], None]], acts: Collection[str], *consoles: Console) -> None:
        self._pages = pages
        self._acts = acts
        self._news = News(*consoles)
        self._templates = templates()
        self._own = [Route(path, self._endpoint(page)) for path, page in pages.items()]
        self.routes = [
            static(),
            Route("/live", self.live),
            Route("/act/{name}", self.act, methods=["POST"]),
            *self._own,
        ]
        """The routes of all pages, forms and scripts."""

    @abstractmethod
    def rights_of(self, request: Request) -> Permits:
        """Return what the principal of a request may do."""

    @abstractmethod
    def page_of(self, request: Request, rights: Permits, kept: KeptForm | None) -> Page:
        """Return the page that a request selects, not made yet. `kept`: the refused form to show again."""

    @abstractmethod
    def make(self, page: Any, make: Callable[[Any], None]) -> str:
        """Make a page, and return it as HTML.

        Raises:
            StillReading: the log is still being read for it.
            PerdureError, OSError: it cannot be made.
        """

    @abstractmethod
    def do(self, name: str, request: Request) -> str:
        """Perform the act of a form; return a sentence that describes what was done.

        Raises:
            NotAllowed: the principal has no right to it; nothing was done.
            PerdureError, ValueError, TypeError, TimeoutError, OSError: it was not done.
        """

    def rendered(self, page: Page) -> str:
        """Return a finished page as HTML."""
        return self._templates.get_template(page.template).render(page.context())

    def _endpoint(self, page: Callable[[Any], None]) -> Callable[[Request], Response]:
        """Return the endpoint of a page. It runs in a thread of the server's pool, because a page reads the log."""

        def endpoint(request: Request) -> Response:
            return self._shown(request, page)

        return endpoint

    def _shown(self, request: Request, make: Callable[[Any], None], kept: KeptForm | None = None) -> Response:
        rights = self.rights_of(request)
        if not rights.may("look"):
            return PlainTextResponse(f"{rights.principal} may not look at this console\n", FORBIDDEN)
        page = self.page_of(request, rights, kept)
        try:
            html = self.make(page, make)
        except StillReading as error:
            return self._coming(page, error)
        except UnknownMessage as error:
            return self._failed(page, error, NOT_FOUND)
        except NotAllowed as error:
            return self._failed(page, error, FORBIDDEN)
        except (PerdureError, OSError) as error:
            return self._failed(page, error, BAD)
        return HTMLResponse(html, page.status)

    def _coming(self, page: Page, reading: StillReading) -> Response:
        """Show how much of the log has been read for the page. The browser then asks again by itself."""
        page.view, page.template = None, "reading.html"
        page.more = {"reading": reading}
        return HTMLResponse(self.rendered(page), COMING, headers={"retry-after": "1"})

    def _failed(self, page: Page, error: Exception, status: int) -> Response:
        """Show what failed, with a link to a page that can be shown."""
        page.template, page.status = "failed.html", status
        page.more["why"] = str(error)
        return HTMLResponse(self.rendered(page), status)

    async def act(self, request: Request) -> Response:
        """Perform the act of a form, then show the page of the form with the outcome."""
        name, form = request.path_params["name"], request.scope["form"]
        session = request.scope["session"]
        root = request.scope.get("root_path", "")
        if name not in self._acts:
            return PlainTextResponse("there is no such act\n", NOT_FOUND)
        try:
            session.set_notice(await run_in_threadpool(self.do, name, request))
        except NotAllowed as error:
            return PlainTextResponse(f"{error}\n", FORBIDDEN)
        except (PerdureError, ValueError, TypeError, TimeoutError, OSError) as error:
            session.set_notice(f"Not done: {error}")
            kept = KeptForm(name, form, str(error))
            if kept.is_filled_in:
                again = await run_in_threadpool(self._again, request, _own_path(form.get("again", form.get("back", "/"))), kept)
                if again is not None:
                    return again
        return RedirectResponse(root + _own_path(form.get("back", "/")), 303)

    def _again(self, request: Request, address: str, kept: KeptForm) -> Response | None:
        """Return the page of a refused form, filled in as before; None where the address is no page of this console."""
        parts = urlsplit(address)
        path = request.scope.get("root_path", "") + unquote(parts.path)
        scope = {**request.scope, "method": "GET", "path": path, "query_string": parts.query.encode()}
        for page, route in zip(self._pages.values(), self._own, strict=True):
            match, more = route.matches(scope)
            if match is Match.FULL:
                return self._shown(Request({**scope, **more}), page, kept)
        return None

    async def live(self, request: Request) -> Response | Stream:
        """Return the event stream that notifies an open page whenever the log has grown."""
        if not self.rights_of(request).may("look"):
            return PlainTextResponse("not allowed\n", FORBIDDEN)
        return Stream(self._news)


def static() -> Mount:
    """Return the route of style, scripts and marks."""
    return Mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@functools.cache
def templates() -> jinja2.Environment:
    """Return the templates, all compiled, so that no page has to compile one."""
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


def _own_path(text: str) -> str:
    """Return the address within this console that a form gives, without a host; the first page's where it gives none."""
    try:
        parts = urlsplit(text)
    except ValueError:  # a bracket without its other half
        return "/"
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith("//") or "\\" in text:
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")
