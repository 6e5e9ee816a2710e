"""Sessions of browsers: who each one is, the token of its forms, and which payloads were revealed to it.

A session is in its browser's cookie, sealed, and nothing of it is kept here: each process that has the key knows it, and so do all
workers of a web server. Not here: where the key comes from (`keys`), how it seals (`seal`), the checks of a request (`gate`).
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.console.guard.seal import Seal

__all__ = ["OneTimeToken", "Session", "Sessions"]

SESSION_S = 12 * 3_600.0
REVEALED_S = 15 * 60.0
"""How long payloads of a type stay open after they were revealed."""
REVEALED_MAX = 50
NOTICE_BYTES_MAX = 1_200
COUNTED_S = 3_600.0
"""How long a form with a count can be sent."""
SESSION, FORM, COUNT, COOKIE, ACT = "session", "form", "count", "cookie", "act"
"""What is sealed: none of these passes for another."""


@attrs.define(eq=False)
class Session:
    """One browser of one principal, for as long as one request takes."""

    principal: str
    seal: Seal = attrs.field(repr=False)
    secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(16), repr=False)
    began_s: float = attrs.field(factory=time.time)
    is_changed: bool = False
    """Whether the browser needs a new cookie."""
    _notice: str = ""
    _revealed: dict[bytes, int] = attrs.field(factory=dict)
    """Until when the payloads of a type are open, by a hash of its name: a cookie has little room."""

    @property
    def csrf(self) -> str:
        """The token of this session's forms."""
        return self.seal.mark(FORM, self.secret)

    def is_own_form(self, token: str) -> bool:
        """Return whether a form was made for this session."""
        return hmac.compare_digest(token.encode(), self.csrf.encode())

    def reveal(self, type_name: str) -> None:
        """Open the payloads of a type for a while; of too many types, those that were revealed last stay open."""
        name = _short(type_name)
        self._revealed.pop(name, None)
        self._revealed[name] = int(time.time() + REVEALED_S)
        while len(self._revealed) > REVEALED_MAX:
            del self._revealed[next(iter(self._revealed))]
        self.is_changed = True

    def is_revealed(self, type_name: str) -> bool:
        """Return whether payloads of a type are open."""
        return bool(self._revealed) and self._revealed.get(_short(type_name), 0) > time.time()

    def tell(self, notice: str) -> None:
        """Set what the next page says first: the outcome of an act. A long one is cut."""
        encoded = notice.encode(errors="replace")
        cut = encoded[:NOTICE_BYTES_MAX].decode(errors="ignore")
        self._notice = cut if len(encoded) <= NOTICE_BYTES_MAX else f"{cut}…"
        self.is_changed = True

    def take_notice(self) -> str:
        """Return what the next page is to say, once."""
        notice, self._notice = self._notice, ""
        self.is_changed = self.is_changed or bool(notice)
        return notice

    def with_count(self, count: list[Any]) -> str:
        """Return a count for a form of this session: what it brings back is what was counted."""
        return self.seal.sealed(COUNT, [self.secret, int(time.time()), count])

    def count_of(self, text: str) -> list[Any] | None:
        """Return the count that a form has brought back; None where it was not made for this session, or is too old.

        Whether it was acted on is not known here, as a browser may bring back an older cookie: the log knows, by `act_on`.
        """
        opened = self.seal.opened(COUNT, text)
        if opened is None or opened[0] != self.secret or time.time() - opened[1] > COUNTED_S:
            return None
        count: list[Any] = opened[2]
        return count

    def act_on(self, text: str) -> str:
        """Return the id of the act on a count: a form that is sent twice means one act, whichever worker gets it."""
        return f"console-{self.seal.mark(ACT, self.seal.sealed(COUNT, self.seal.opened(COUNT, text)))}"  # one text for each count

    def cookie(self) -> str:
        """Return the session as the value of a cookie."""
        return self.seal.sealed(SESSION, [self.principal, self.secret, self.began_s, self._notice, self._revealed])


class Sessions:
    """Begins sessions, and finds them in what browsers send. Safe in any thread.

    Args:
        find_seal: returns what signs them; asked at the first request, as a folder may not be there before.
    """

    def __init__(self, find_seal: Callable[[], Seal]) -> None:
        self._find_seal = find_seal

    @functools.cached_property
    def _seal(self) -> Seal:
        return self._find_seal()

    @functools.cached_property
    def cookie_name(self) -> str:
        """Of this key: browsers send cookies to all ports of a host, and another console may use the next one."""
        return f"perdure_console_{self._seal.mark(COOKIE, '')[:8]}"

    def begin(self, principal: str) -> Session:
        """Return a new session."""
        return Session(principal, self._seal, is_changed=True)

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None where it has ended, or was not sealed here."""
        opened = self._seal.opened(SESSION, cookie) if cookie else None
        if opened is None:
            return None
        try:
            principal, secret, began_s, notice, revealed, *_ = opened
        except (TypeError, ValueError):  # of another version of perdure, under the same key
            return None
        if not 0.0 <= time.time() - began_s <= SESSION_S:
            return None
        now_s = time.time()
        still = {name: until_s for name, until_s in revealed.items() if until_s > now_s}
        return Session(principal, self._seal, secret, began_s, notice=notice, revealed=still)


class OneTimeToken:
    """A token that opens one session; the next one is made when it is used. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = lock_of(self, "_lock")
        self.value = secrets.token_urlsafe(32)

    def use(self, given: str) -> bool:
        """Return whether this is the token; it then counts no longer."""
        with self._lock:
            is_right = hmac.compare_digest(given.encode(), self.value.encode())
            if is_right:
                self.value = secrets.token_urlsafe(32)
        return is_right


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()
