"""`whole_queue`: the consoles of all partitions of a queue as one application, below `/partition/NUMBER`, with one session.

Each partition is a log of its own, with states, acts and a past of its own; a page names its partition and leads to the others.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from perdure.console.app import pages_of
from perdure.console.guard import keys
from perdure.console.guard.gate import Gate
from perdure.console.guard.sessions import Sessions
from perdure.console.pages.parts.page import NAVIGATION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from perdure.console.console import Console
    from perdure.console.guard.seal import Seal
    from perdure.console.guard.sessions import OneTimeToken

__all__ = ["whole_queue"]

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

    async def first(request: Request) -> Response:
        """Lead an address that names no partition to the first one, as of a page that was kept from a queue of one partition."""
        page = request.path_params["page"]
        if page.split("/", 1)[0] not in PAGES:
            raise HTTPException(404)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/partition/{min(consoles)}/{quote(page)}{query}", 303)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        for console in consoles.values():
            console.close()

    mounts = [Mount(f"/partition/{number}", pages_of(console)) for number, console in consoles.items()]
    app = Starlette(routes=[*mounts, Route("/{page:path}", first)], lifespan=lifespan)
    return Gate(app, hosts=hosts, origins=origins, sessions=Sessions(seal), principal_of=principal, token=token, used=used)
