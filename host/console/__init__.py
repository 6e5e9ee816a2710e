"""The console: pages to look at a queue and to steer it, in a browser. Extra `perdure[console]`; docs/CONSOLE.md is its guide.

- `asgi(system)` returns an application to mount in the host's own; `perdure console FOLDER` serves one on loopback.
- `log/` reads the log, now and at any past moment, in reads of bounded length. `pages/` collects the values of the templates.
  `drawing/` makes charts. `guard/` checks each request before a page sees it.
- `console_acts` is what an operator can change, always through the public API of the system. `app` and `console` assemble the
  application, with `answers`; `whole_console` and `whole_acts` do so for several partitions.
- `streaming` notifies an open page that the log has grown. `asked` and `counting` fetch answers of other processes in threads of
  their own. In a forked child all of these are reset (`begun_anew`).
- `templates/` and `static/` have no build step; the browser loads nothing from elsewhere.

The console decides nothing and writes nothing itself. Reading takes no lock; each act is a command to the owner, recorded there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from perdure.security import Authorize

__all__ = ["asgi"]


def asgi(
    system: Any,
    *,
    authorize: Authorize | None = None,
    principal: Callable[[Any], str | None] | None = None,
    hosts: Collection[str] = ("127.0.0.1", "localhost", "[::1]"),
    origins: Collection[str] = (),
    open_payloads: Collection[str] | bool = (),
    secret: str | bytes | None = None,
) -> Any:
    """Return an ASGI application with the console of a system, to mount in an application of the host.

    Args:
        system: a `System` of this process, a `Client` of one in another, or a `Cluster`, whose partitions have pages of their own.
        authorize: `authorize(principal, action, type) -> bool`, as for `System(authorize=...)`. Unless given, the function of the
            system is used; where the system has none either, every principal may only look. The actions are those of
            `perdure.events.actions`.
        principal: returns the name of the principal of a Starlette request; None refuses the request. Called for each request, in
            the event loop. Unless given, the name is that of the user whom the host's own authentication has put into the request
            (Starlette's `request.user.display_name`).
        hosts: the names under which the host's application is reached (the `Host` of its requests), with or without a port.
        origins: the sites under which browsers reach it (`https://shop.example.com`), for a proxy that sends another `Host`. Then
            forms are accepted from these sites alone, and cookies are sent over https alone if all of them use it. Unless given, a
            form must come from the site that its `Host` names.
        open_payloads: types whose payloads are shown at once; True for all. Others are hidden until a reveal, which is recorded.
        secret: signs the sessions; the same in all processes that serve the console. Unless given, it is a key in the data
            folder, `console.key`; for a queue in a database it is a key of this process, and sessions are valid in this one alone.

    Raises:
        PerdureError: the extra is not installed; the error names the command that installs it.
        TypeError: `system` is no system, or the secret is neither a text nor bytes.
        ValueError: an origin is malformed, or the secret is shorter than 16 bytes.
    """
    try:
        from perdure.console.app import application  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        msg = f"the console needs more packages ({error.name} is missing): pip install 'perdure[console]'"
        raise PerdureError(msg) from error
    from perdure.console.console import Console  # noqa: PLC0415 - as above
    from perdure.console.guard import keys  # noqa: PLC0415 - as above
    from perdure.console.whole_console import whole_queue  # noqa: PLC0415 - as above

    given = None if secret is None else keys.of_secret(secret)
    principal_of = principal or _user_of
    if _is_cluster(system):
        consoles = Console.of_cluster(system, authorize=authorize, open_payloads=open_payloads)
        return whole_queue(consoles, hosts=hosts, origins=origins, principal=principal_of, seal=lambda: given or keys.of_process())
    console = Console.of(system, authorize=authorize, open_payloads=open_payloads)
    folder = console.folder

    def seal() -> Any:
        return given or (keys.of_process() if folder is None else keys.of_folder(folder))

    return application(console, hosts=hosts, origins=origins, principal=principal_of, seal=seal)


def _is_cluster(system: object) -> bool:
    cluster = sys.modules.get("perdure.cluster.cluster")  # it needs a driver, and is imported wherever a Cluster exists
    return cluster is not None and isinstance(system, cluster.Cluster)


def _user_of(request: Any) -> str | None:
    """Return the name of the user that the host's authentication found; None where there is none."""
    user = request.scope.get("user")
    return str(user.display_name) if user is not None and getattr(user, "is_authenticated", False) else None
