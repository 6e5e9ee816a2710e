"""Sessions of browsers: who each one is, the token of its forms, and which payloads were revealed to it. In memory, with bounds.

A session ends with the process. Not here: the checks of a request (`gate`).
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from perdure.console.counting import Count

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.console.counting import Counted

__all__ = ["OneTimeToken", "Session", "Sessions"]

SESSIONS_MAX = 1_000
SESSION_S = 12 * 3_600.0
REVEALED_S = 15 * 60.0
"""How long payloads of a type stay open after they were revealed."""
REVEALED_MAX = 200
COUNTED_MAX = 20


@attrs.define(eq=False)
class Session:
    """One browser of one principal."""

    principal: str
    csrf: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)
    began_s: float = attrs.field(factory=time.monotonic)
    notice: str = ""
    """What the next page says first: the outcome of an act."""
    _revealed: OrderedDict[str, float] = attrs.field(factory=OrderedDict)

    counts: OrderedDict[str, Count] = attrs.field(factory=OrderedDict)
    """What was counted for bulk acts, by the name that a form has for it."""

    def count(self, of: str, where: str, ask: Callable[[], Counted]) -> Count:
        """Return a count for a bulk act: one that is fresh, or a new one, which `ask` makes."""
        for known in reversed(self.counts.values()):
            if (known.of, known.where) == (of, where) and known.is_fresh:
                return known
        count = Count(of, where, ask)
        self.counts[count.name] = count
        while len(self.counts) > COUNTED_MAX:
            self.counts.popitem(last=False)
        return count

    def reveal(self, type_name: str) -> None:
        """Open the payloads of a type for a while."""
        self._revealed[type_name] = time.monotonic() + REVEALED_S
        while len(self._revealed) > REVEALED_MAX:
            self._revealed.popitem(last=False)

    def is_revealed(self, type_name: str) -> bool:
        """Tell whether payloads of a type are open."""
        return self._revealed.get(type_name, 0.0) > time.monotonic()

    def take_notice(self) -> str:
        """Return what the next page is to say, once."""
        notice, self.notice = self.notice, ""
        return notice

    def is_own_form(self, token: str) -> bool:
        """Tell whether a form was made for this session."""
        return hmac.compare_digest(token.encode(), self.csrf.encode())


class Sessions:
    """All sessions, by the secret in their cookie. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_secret: OrderedDict[str, Session] = OrderedDict()

    def begin(self, principal: str) -> tuple[str, Session]:
        """Begin a session; return its secret, and the session."""
        secret, session = secrets.token_urlsafe(32), Session(principal)
        with self._lock:
            self._by_secret[secret] = session
            while len(self._by_secret) > SESSIONS_MAX:
                self._by_secret.popitem(last=False)
        return secret, session

    def find(self, secret: str) -> Session | None:
        """Return the session of a cookie's secret; None where it has ended, or never was."""
        with self._lock:
            session = self._by_secret.get(secret)
            if session is not None and time.monotonic() - session.began_s > SESSION_S:
                del self._by_secret[secret]
                session = None
            if session is not None:
                self._by_secret.move_to_end(secret)
        return session


class OneTimeToken:
    """A token that opens one session; the next one is made when it is used. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = secrets.token_urlsafe(32)

    def use(self, given: str) -> bool:
        """Tell whether this is the token; it then counts no longer."""
        with self._lock:
            is_right = hmac.compare_digest(given.encode(), self.value.encode())
            if is_right:
                self.value = secrets.token_urlsafe(32)
        return is_right
