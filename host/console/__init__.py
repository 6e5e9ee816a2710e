"""The console: pages to look at a queue and to steer it, in a browser. Extra `perdure[console]`; docs/CONSOLE.md is its guide.

- `asgi(system)` returns an application to mount in the host's own; `perdure console FOLDER` serves one on loopback.
- `log/` reads the log in bounded looks, now and at any past moment; `pages/` makes what the templates show; `drawing/` makes
  charts; `guard/` stands between a browser and the pages; `console_acts` is what an operator can change, always through the front
  door; `app` and `console` put it together, with `answers`; `whole_console` and `whole_acts` do so for several partitions;
  `streaming` tells an open page of news; `asked` and `counting` are what others are asked, in threads of their own. In a forked
  child all that begins anew (`begun_anew`).
- `templates/` and `static/` have no build step; nothing is loaded from elsewhere.

It decides nothing and writes nothing itself: reading takes no lock, and each act is a command to the owner, on record there.
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
        authorize: `authorize(principal, action, type) -> bool`, as `System(authorize=...)` has it, which counts unless given; where
            that has none either, all may only look. The actions are those of `perdure.events.actions`.
        principal: says who asks: called with each Starlette request; None refuses it. Unless given, the user that the host's own
            authentication has put into the request (Starlette's `request.user.display_name`).
        hosts: the names by which the host's application is asked (the `Host` of its requests), with or without a port.
        origins: the sites under which browsers reach it (`https://shop.example.com`), for a proxy that asks by a name of its own;
            then forms are taken from these alone, and cookies are for https alone if all are. Unless given, a form must come from
            the site that its `Host` names.
        open_payloads: types whose payloads are shown at once; True for all. Others are hidden until a reveal, which is on record.
        secret: signs the sessions, the same in all processes that answer for the console. Unless given, it is a key in the data
            folder, `console.key`; of a queue in a database one of this process, so that sessions are valid in this one alone.

    Raises:
        PerdureError: the extra is not installed; says how.
        TypeError: this is no system, or the secret is no text.
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
    cluster = sys.modules.get("perdure.cluster.cluster")  # which needs a database's driver, and is there where one was made
    return cluster is not None and isinstance(system, cluster.Cluster)


def _user_of(request: Any) -> str | None:
    """Return the name of the user that the host's authentication found; None where there is none."""
    user = request.scope.get("user")
    return str(user.display_name) if user is not None and getattr(user, "is_authenticated", False) else None
