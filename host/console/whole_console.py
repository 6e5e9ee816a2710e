"""`whole_queue`: the consoles of all partitions of a queue as one application, below `/partition/NUMBER`, with one session.

Its first page has the sums. Each partition is a log of its own, with states, acts and a past of its own; a page names its partition
and leads to the others.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route

from perdure.cluster.routing import search_order
from perdure.console.app import BAD, FORBIDDEN, pages_of, static, templates
from perdure.console.guard import keys
from perdure.console.guard.gate import Gate
from perdure.console.guard.permits import Permits
from perdure.console.guard.sessions import Sessions
from perdure.console.pages.parts.page import NAVIGATION
from perdure.console.pages.whole_queue.whole_lists import whole_acts, whole_letters, whole_messages
from perdure.console.pages.whole_queue.whole_overview import whole_overview
from perdure.console.pages.whole_queue.whole_page import WholePage
from perdure.console.streaming import News, Stream
from perdure.events.errors import InvalidMessage
from perdure.events.queue.lookup import look_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from perdure.console.console import Console
    from perdure.console.guard.seal import Seal
    from perdure.console.guard.sessions import OneTimeToken

__all__ = ["whole_queue"]

WHOLE: dict[str, Callable[[WholePage], None]] = {
    "/": whole_overview,
    "/messages": whole_messages,
    "/dead-letters": whole_letters,
    "/acts": whole_acts,
}
"""Pages of all partitions, by their addresses."""
PAGES = {*(path.strip("/") for path, _, _ in NAVIGATION), "compare"}
"""The first parts of the addresses of pages."""


def whole_queue(
    consoles: Mapping[int, Console],
    *,
    hosts: Collection[str],
    principal: Callable[[Request], str | None] | None = None,
    origins: Collection[str] = (),
    token: OneTimeToken | None = None,
    used: Callable[[], object] = lambda: None,
    seal: Callable[[], Seal] = keys.of_process,
) -> Any:
    """Return the application; arguments as of `perdure.console.app.application`. `consoles`: by the number of the partition."""
    for number, console in consoles.items():
        console.number, console.partitions_shown = number, tuple(consoles)

    news = News(*consoles.values())
    ordered = list(consoles.values())

    def whole(make: Callable[[WholePage], None], request: Request) -> Response:
        """Show a page of all partitions."""
        rights = _rights(request, ordered[0])
        if not rights.may("look"):
            return PlainTextResponse(f"{rights.principal} may not look at this console\n", FORBIDDEN)
        page = WholePage(ordered[0], request, rights, consoles=ordered)
        page.partitions = [] if page.at else ordered[0].partitions.newest() or []
        try:
            make(page)
        except InvalidMessage as error:
            page.template, page.status = "failed.html", BAD
            page.more["why"] = str(error)
        return HTMLResponse(templates().get_template(page.template).render(page.context()), page.status)

    async def live(request: Request) -> Response | Stream:
        """Tell an open page of all partitions, again and again, that there is something new."""
        return Stream(news) if _rights(request, ordered[0]).may("look") else PlainTextResponse("not allowed\n", FORBIDDEN)

    async def first(request: Request) -> Response:
        """Lead an address that names no partition to one: that of the message, else the first."""
        page = request.path_params["page"]
        section, _, ident = page.partition("/")
        if section not in PAGES:
            raise HTTPException(404)
        number = await run_in_threadpool(_home_of, ident, consoles) if section == "messages" and ident else min(consoles)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/partition/{number}/{quote(page)}{query}", 303)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        for console in consoles.values():
            console.close()

    mounts = [Mount(f"/partition/{number}", pages_of(console)) for number, console in consoles.items()]
    own = [static(), Route("/live", live), *(Route(path, functools.partial(whole, make)) for path, make in WHOLE.items())]
    app = Starlette(routes=[*mounts, *own, Route("/{page:path}", first)], lifespan=lifespan)
    return Gate(app, hosts=hosts, origins=origins, sessions=Sessions(seal), principal_of=principal, token=token, used=used)


def _home_of(ident: str, consoles: Mapping[int, Console]) -> int:
    """Return the partition that knows a message, as far as they are read; else the one that its id tells."""
    order = search_order(ident, len(consoles))
    for number in order:
        live = consoles[number].live
        if live.is_open:
            with live.looked_at(0.0) as states:
                if look_up(states.queue, ident).status != "unknown":
                    return number
    return order[0]


def _rights(request: Request, console: Console) -> Permits:
    return Permits(request.scope["session"].principal, console.rights, console.front is not None)
