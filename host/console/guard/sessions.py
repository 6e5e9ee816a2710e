"""Sessions of browsers: the principal of each, the token of its forms, and the types whose payloads were revealed to it.

A session is stored in the cookie of its browser, sealed, and not in this process. Each process with the key can read it, and so can
all workers of a web server. Not here: where the key comes from (`keys`), signatures (`seal`), the checks of a request (`gate`).
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
"""How many seconds payloads of a type stay open after a reveal."""
REVEALED_MAX = 50
NOTICE_BYTES_MAX = 1_200
COUNTED_S = 3_600.0
"""How many seconds a form with a count stays valid."""
SESSION, FORM, COUNT, COOKIE, ACT = "session", "form", "count", "cookie", "act"
"""The purposes of seals: a seal of one is not valid for another."""


@attrs.define(eq=False)
class Session:
    """The session of one browser, read for one request. For one request at a time."""

    principal: str
    seal: Seal = attrs.field(repr=False)
    secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(16), repr=False)
    began_s: float = attrs.field(factory=time.time)
    is_changed: bool = False
    """Whether the browser needs a new cookie."""
    _notice: str = ""
    _revealed: dict[bytes, int] = attrs.field(factory=dict)
    """Until when payloads of a type are open, in seconds since the epoch, by a hash of its name: a cookie is small."""

    @property
    def csrf(self) -> str:
        """The token of this session's forms."""
        return self.seal.mark(FORM, self.secret)

    def is_own_form(self, token: str) -> bool:
        """Return whether a form was made for this session."""
        return hmac.compare_digest(token.encode(), self.csrf.encode())

    def reveal(self, type_name: str) -> None:
        """Open the payloads of a type for `REVEALED_S`; beyond `REVEALED_MAX` types, the oldest reveals end."""
        name = _short(type_name)
        self._revealed.pop(name, None)
        self._revealed[name] = int(time.time() + REVEALED_S)
        while len(self._revealed) > REVEALED_MAX:
            del self._revealed[next(iter(self._revealed))]
        self.is_changed = True

    def is_revealed(self, type_name: str) -> bool:
        """Return whether payloads of a type are open."""
        return bool(self._revealed) and self._revealed.get(_short(type_name), 0) > time.time()

    def set_notice(self, notice: str) -> None:
        """Set the notice that the next page shows: the outcome of an act. A long one is cut."""
        encoded = notice.encode(errors="replace")
        cut = encoded[:NOTICE_BYTES_MAX].decode(errors="ignore")
        self._notice = cut if len(encoded) <= NOTICE_BYTES_MAX else f"{cut}…"
        self.is_changed = True

    def take_notice(self) -> str:
        """Return the notice for the page, and remove it."""
        notice, self._notice = self._notice, ""
        self.is_changed = self.is_changed or bool(notice)
        return notice

    def with_count(self, count: list[Any]) -> str:
        """Return a sealed count for a form of this session."""
        return self.seal.sealed(COUNT, [self.secret, int(time.time()), count])

    def count_of(self, text: str) -> list[Any] | None:
        """Return the count of a form that was sent; None where it was not made for this session, or is too old.

        Only the log records whether a count was acted on, by the id of `act_on`: a browser may send an older cookie.
        """
        opened = self.seal.opened(COUNT, text)
        if opened is None or opened[0] != self.secret or time.time() - opened[1] > COUNTED_S:
            return None
        count: list[Any] = opened[2]
        return count

    def act_on(self, text: str) -> str:
        """Return the id of the act on a count: a form that is sent twice causes one act, whichever worker process gets it."""
        return f"console-{self.seal.mark(ACT, self.seal.sealed(COUNT, self.seal.opened(COUNT, text)))}"  # one text for each count

    def cookie(self) -> str:
        """Return the session as the value of a cookie."""
        return self.seal.sealed(SESSION, [self.principal, self.secret, self.began_s, self._notice, self._revealed])


class Sessions:
    """Begins sessions, and finds them in what browsers send. Safe in any thread.

    Args:
        find_seal: returns the seal that signs them; called at the first request, as the data folder may not exist before.
    """

    def __init__(self, find_seal: Callable[[], Seal]) -> None:
        self._find_seal = find_seal

    @functools.cached_property
    def _seal(self) -> Seal:
        return self._find_seal()

    @functools.cached_property
    def cookie_name(self) -> str:
        """The name of the cookie, which depends on the key: browsers send cookies to all ports of a host."""
        return f"perdure_console_{self._seal.mark(COOKIE, '')[:8]}"

    def begin(self, principal: str) -> Session:
        """Return a new session."""
        return Session(principal, self._seal, is_changed=True)

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None where it has expired, or was not sealed with this key."""
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
    """A token that opens one session; its use replaces it by a new one. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = lock_of(self, "_lock")
        self.value = secrets.token_urlsafe(32)

    def use(self, given: str) -> bool:
        """Return whether this is the token; if so, replace it by a new one."""
        with self._lock:
            is_right = hmac.compare_digest(given.encode(), self.value.encode())
            if is_right:
                self.value = secrets.token_urlsafe(32)
        return is_right


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()
