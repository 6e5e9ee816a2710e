"""The gate of the console: an ASGI layer that checks host, origin, session and form of each request, and sets headers.

A request that fails a check reaches no page. Not here: rights (`permits`), which the pages check.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse

from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from perdure.console.guard.sessions import OneTimeToken, Session, Sessions

__all__ = ["HEADERS", "LOOPBACK", "Gate"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
logger = GuardedLogger("perdure")
FORM_BYTES_MAX = 2 << 20
PRINCIPAL_CHARS_MAX = 1_000
"""The limit of any principal on record (`perdure.acting_as`)."""
SURROGATE = re.compile("[\ud800-\udfff]")
PATH_CHARS = "/!$&'()*+,=:@|[]"
"""Characters that a browser does not escape in a path, beside letters, digits and `-._~`."""
FOREIGN = (
    "this form was sent from another site. Behind a proxy that asks by another name than the browser, pass the browser's Host on, "
    "or name the browser's site in `origins=`: see docs/CONSOLE.md, Behind a proxy"
)
CLOSED = (
    "This console opens with the address that `perdure console` printed when it began: its token opens one browser. "
    "After that, it printed another one.\n"
)
OPENED = (
    '<!doctype html><html lang="en"><title>perdure</title><meta http-equiv="refresh" content="0;url={0}">'
    '<a href="{0}">The console</a></html>'
)
"""A page, not a redirect: after a redirect that another program began, a browser sends no strict cookie."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # `same-origin`, as with `no-referrer` a browser sends forms with the origin "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""The headers of each answer."""
PAIRS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Gate:
    """An ASGI application that checks each request and finds its session. It runs in the event loop.

    Args:
        app: the pages.
        hosts: names (with or without a port) under which the console may be reached; another name may be an attacker's that
            resolves to this server.
        origins: the sites (`https://shop.example.com`) whose forms are the console's own, where a proxy sends another `Host` than
            browsers do; unless given, the site of the `Host` of the request.
        sessions: the sessions of browsers.
        principal_of: returns the principal of a request; None: a browser has to use a token.
        token: opens a session where `principal_of` is not given.
        used: called after the token was used.

    Raises:
        TypeError: `principal_of` is a coroutine function.
        ValueError: an origin is malformed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        origins: Collection[str] = (),
        sessions: Sessions,
        principal_of: Callable[[Request], str | None] | None,
        token: OneTimeToken | None = None,
        used: Callable[[], object] = lambda: None,
    ) -> None:
        if inspect.iscoroutinefunction(principal_of):
            msg = "principal: a function that returns a name or None, not a coroutine function: await what it needs in a middleware"
            raise TypeError(msg)
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(_checked_origin(origin) for origin in origins)
        self._is_secure = bool(self._origins) and all(origin.startswith("https:") for origin in self._origins)
        self._sessions = sessions
        self._principal_of = principal_of
        self._token = token
        self._used = used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        with_headers = self._with_headers(send, scope, scope.get("root_path", ""))  # the routes below write into `scope`
        refused = self._misdirected(request) or self._unknown(request)
        if refused is None and request.method == "POST":
            try:
                refused = await self._foreign_form(request)
            except ClientDisconnect:
                return  # while it sent its form: the connection is closed, so there is no answer
        await (refused or self._app)(scope, receive, with_headers)

    def _misdirected(self, request: Request) -> Response | None:
        """Return a refusal of a `Host` that is not the console's: another site may have made its name resolve to this server."""
        host = request.headers.get("host", "").lower()
        if host in self._hosts or host.rsplit(":", 1)[0] in self._hosts:
            return None
        return _refusal(421, "this console is not known by that name; name it in `hosts=` where it should be")

    def _unknown(self, request: Request) -> Response | None:
        """Find the session of a request, or begin one; return a refusal where it has none."""
        path = _path(request)
        try:
            found = map(self._sessions.find, _cookies(request, self._sessions.cookie_name))
            session = next((one for one in found if one is not None), None)
        except PerdureError as error:  # of the key
            logger.error("the console is closed: %s", error)  # noqa: TRY400 - the message has all details
            return _refusal(500, "this console has no safe key for its sessions: the log of the application has the reason")
        if self._principal_of is not None:
            principal = self._principal_of(request)
            if principal is None or principal == "":
                return _refusal(401, "the application did not say who asks: see docs/CONSOLE.md, Rights, and payloads")
            if not _is_name(principal):
                logger.error(
                    "the console refuses a request: `principal` returns a text of up to %d characters, or None, not %s",
                    PRINCIPAL_CHARS_MAX,
                    shown(principal),
                )
                return _refusal(500, "the application named no person who asks: its log says why")
            if session is None or session.principal != principal:
                session = self._sessions.begin(principal)
        elif path == "/login" and self._token is not None:
            return self._login(request)
        elif session is None and not path.startswith("/static/"):
            return _refusal(401, CLOSED)
        request.scope["session"] = session
        return None

    def _login(self, request: Request) -> Response:
        from perdure.arguments.acting import user  # noqa: PLC0415 - for the console of a command alone

        if request.method != "GET" or self._token is None or not self._token.use(request.query_params.get("token", "")):
            return _refusal(401, CLOSED)
        self._used()
        request.scope["session"] = self._sessions.begin(user())
        return HTMLResponse(OPENED.format(request.scope.get("root_path", "") + "/"))

    def _with_headers(self, send: Send, scope: Scope, root: str) -> Send:
        """Return a `send` that adds the headers of each answer, and the cookie of a session that is new or has changed.

        `root`: the path below which the whole console is mounted, whatever part of it answers.
        """

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own: list[Any] = [
                    pair for pair in message.get("headers", []) if pair[0].lower() != b"cache-control" or _is_static(scope)
                ]
                kept = {name.lower() for name, _ in own}
                more = [pair for pair in PAIRS if pair[0] not in kept]
                message = {**message, "headers": own + more + self._cookies(scope, root)}
            await send(message)

        return with_headers

    def _cookies(self, scope: Scope, root: str) -> list[tuple[bytes, bytes]]:
        """Return the header that sets the cookie of the session; empty where the session has not changed."""
        session: Session | None = scope.get("session")
        if session is None or not session.is_changed:
            return []
        secure = "; Secure" if self._is_secure or scope["scheme"] == "https" else ""
        path = quote(root, safe=PATH_CHARS) or "/"
        cookie = f"{self._sessions.cookie_name}={session.cookie()}; Path={path}; HttpOnly; SameSite=Strict{secure}"
        return [(b"set-cookie", cookie.encode())]

    def _is_own(self, origin: str, host: str) -> bool:
        """Return whether a form of this origin comes from a page of the console."""
        if self._origins:
            return origin.lower() in self._origins
        try:
            netloc = urlsplit(origin).netloc
        except ValueError:  # a bracket without its other half
            return False
        return bool(netloc) and netloc.lower() == host.lower()

    async def _foreign_form(self, request: Request) -> Response | None:
        """Return a refusal of a form of another site or session; otherwise put its fields into the scope and return None."""
        if not self._is_own(request.headers.get("origin", ""), request.headers.get("host", "")):
            return _refusal(403, FOREIGN)
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return _refusal(403, FOREIGN)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > FORM_BYTES_MAX:
                return _refusal(413, "this form is too large")
        try:
            fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=1_000)
        except ValueError:
            return _refusal(400, "this form cannot be read")
        form = {name: values[-1] for name, values in fields.items()}
        session: Session | None = request.scope.get("session")
        if session is None or not session.is_own_form(form.get("csrf", "")):
            return _refusal(403, "this form is not of your session, or too old: load its page again")
        request.scope["form"] = form
        return None


def _path(request: Request) -> str:
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", "")) or "/"


def _cookies(request: Request, name: str) -> Iterator[str]:
    """Yield the values of the cookies of a name, those of the longest path first, as browsers send them.

    `http.cookies` is no alternative: it drops all cookies where one is malformed (`a={"b": 1}`), and the host may have such ones.
    """
    for pair in ";".join(request.headers.getlist("cookie")).split(";"):
        found, _, value = pair.partition("=")
        if found.strip() == name:
            yield value.strip()


def _is_name(principal: object) -> bool:
    """Return whether this is valid as the principal of a record."""
    if inspect.iscoroutine(principal):
        principal.close()
    return isinstance(principal, str) and len(principal) <= PRINCIPAL_CHARS_MAX and not SURROGATE.search(principal)


def _refusal(status: int, text: str) -> Response:
    return PlainTextResponse(text, status)


def _checked_origin(origin: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        ValueError: it is no origin.
    """
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        msg = f"origins: a scheme and a host, with a port where browsers show one, as https://shop.example.com; not {origin!r}"
        raise ValueError(msg)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_static(scope: Scope) -> bool:
    return "/static/" in scope["path"]
