"""`whole_queue`: the consoles of all partitions of a queue as one application, below `/partition/NUMBER`, with one session.

Other pages show all partitions together: sums, lists and acts of the whole queue. Each partition is a log with its own states, acts
and history. A page of one partition names it and links to the others.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from perdure.cluster.routing import search_order
from perdure.console import whole_acts
from perdure.console.answers import Answers
from perdure.console.app import pages_of
from perdure.console.guard import keys
from perdure.console.guard.gate import Gate
from perdure.console.guard.permits import Permits
from perdure.console.guard.sessions import Sessions
from perdure.console.pages.whole_queue.whole_inside import whole_actors, whole_processes, whole_schedules
from perdure.console.pages.whole_queue.whole_lists import count_letters, count_messages, whole_letters, whole_messages
from perdure.console.pages.whole_queue.whole_lists import whole_acts as whole_acts_page
from perdure.console.pages.whole_queue.whole_overview import whole_overview
from perdure.console.pages.whole_queue.whole_page import WholePage, figures_of_each
from perdure.console.pages.whole_queue.whole_types import whole_type, whole_types
from perdure.events.queue.lookup import look_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from starlette.requests import Request

    from perdure.console.console import Console
    from perdure.console.guard.seal import Seal
    from perdure.console.guard.sessions import OneTimeToken
    from perdure.console.pages.parts.kept_form import KeptForm

__all__ = ["whole_queue"]

WHOLE: dict[str, Callable[[WholePage], None]] = {
    "/": whole_overview,
    "/types": whole_types,
    "/types/{type:name}": whole_type,
    "/messages": whole_messages,
    "/dead-letters": whole_letters,
    "/schedules": whole_schedules,
    "/processes": whole_processes,
    "/actors": whole_actors,
    "/acts": whole_acts_page,
}
"""Pages of all partitions, by their addresses."""
BEFORE: dict[Callable[[WholePage], None], Callable[[WholePage], None]] = {
    whole_types: figures_of_each,
    whole_type: figures_of_each,
    whole_processes: figures_of_each,
    whole_actors: figures_of_each,
    whole_messages: count_messages,
    whole_letters: count_letters,
}
"""What is fetched from other processes before a page reads the logs, as in `perdure.console.pages.BEFORE`."""
OF_ONE = {"messages", "compare"}
"""The first parts of the addresses of pages that exist for one partition only."""


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
    """Return the ASGI application. Arguments as for `perdure.console.app.application`; `consoles` by partition number."""
    for number, console in consoles.items():
        console.number, console.partitions_shown = number, tuple(consoles)

    async def first(request: Request) -> RedirectResponse:
        """Redirect an address without a partition to the partition of its message, otherwise to the first one."""
        page = request.path_params["page"]
        section, _, ident = page.partition("/")
        if section not in OF_ONE:
            raise HTTPException(404)
        number = min(consoles)
        if section == "messages" and ident:
            number = await run_in_threadpool(_home_of, ident, consoles, request.scope["session"].principal)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/partition/{number}/{quote(page)}{query}", 303)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        for console in consoles.values():
            console.close()

    mounts = [Mount(f"/partition/{number}", pages_of(console)) for number, console in consoles.items()]
    app = Starlette(routes=[*mounts, *_AllPartitions(consoles).routes, Route("/{page:path}", first)], lifespan=lifespan)
    return Gate(app, hosts=hosts, origins=origins, sessions=Sessions(seal), principal_of=principal, token=token, used=used)


def _home_of(ident: str, consoles: Mapping[int, Console], principal: str) -> int:
    """Return the partition that knows a message which the principal may look at; otherwise the one that follows from its id."""
    order = search_order(ident, len(consoles))
    for number in order:
        live = consoles[number].live
        if live.is_open:
            with live.looked_at(0.0) as states:
                looked = look_up(states.queue, ident)
            if looked.status != "unknown" and consoles[number].rights.allow(principal, "look", looked.type):
                return number
    return order[0]


class _AllPartitions(Answers):
    """Answers requests from the consoles of all partitions together."""

    def __init__(self, consoles: Mapping[int, Console]) -> None:
        super().__init__(WHOLE, whole_acts.ACTS, *consoles.values())
        self._consoles = consoles
        self._ordered = [consoles[number] for number in sorted(consoles)]

    def rights_of(self, request: Request) -> Permits:
        can_act = any(console.front is not None for console in self._ordered)
        return Permits(request.scope["session"].principal, self._ordered[0].rights, can_act)

    def page_of(self, request: Request, rights: Permits, kept: KeptForm | None) -> WholePage:
        page = WholePage(self._ordered[0], request, rights, kept=kept, consoles=self._ordered)
        page.partitions = [] if page.at else self._ordered[0].partitions.newest() or []
        return page

    def make(self, page: WholePage, make: Callable[[WholePage], None]) -> str:
        if make in BEFORE:
            BEFORE[make](page)
        make(page)
        return self.rendered(page)

    def do(self, name: str, request: Request) -> str:
        session, form = request.scope["session"], request.scope["form"]
        return whole_acts.do(name, whole_acts.WholeActRequest(self._consoles, session, session.principal, form))
