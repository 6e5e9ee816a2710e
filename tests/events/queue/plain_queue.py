"""The queue in the plainest way: a list of messages, searched from end to end at every question.

No index, no heap, no line; nothing of `state` is used. Process deaths, windows, results and rates are not in it.
"""

from __future__ import annotations

import attrs

__all__ = ["Plain", "PlainQueue"]


@attrs.define(eq=False)
class Plain:
    """One message. `state` is `waiting`, `out`, `dead`, or how it ended."""

    number: int
    id: str
    type: str
    key: str | None
    group: str | None
    priority: int
    place: int
    due_us: int
    expires_us: int
    state: str = "waiting"
    attempts: int = 0
    before: int = 0
    """Attempts that do not count: they were given back, or came before a replay. Their numbers are not given again."""
    until_us: int = 0
    retries: int = 0
    by_hand: bool = False
    """A consumer has it, not a worker."""


class PlainQueue:
    """All messages there ever were, in the order of their numbers."""

    def __init__(self) -> None:
        self.all: list[Plain] = []
        self.dead: list[Plain] = []
        """The dead, in the order they died."""

    # --- what is so ----------------------------------------------------------------------------------------------------

    def live(self) -> list[Plain]:
        return [m for m in self.all if m.state in ("waiting", "out")]

    def out(self) -> list[Plain]:
        return [m for m in self.all if m.state == "out"]

    def of_key(self, kind: str, key: str | None, state: str) -> Plain | None:
        """Return the message that waits or is out under a key; there is one at most."""
        if key is None:
            return None
        return next((m for m in self.all if (m.type, m.key, m.state) == (kind, key, state)), None)

    def standing(self, message: Plain, now_us: int) -> str:
        """Tell where a live message stands: out, delayed, held or ready."""
        if message.state == "out":
            return "out"
        if message.due_us > now_us:
            return "delayed"
        if self.of_key(message.type, message.key, "out") is not None:
            return "held"
        if message.group is not None:
            group = [m for m in self.live() if m.group == message.group]
            if group[0] is not message or any(m.state == "out" for m in group):
                return "held"
        return "ready"

    def line(self, kind: str, now_us: int) -> list[Plain]:
        """Return the ready messages of a type in the order they will leave."""
        ready = [m for m in self.all if m.type == kind and m.state == "waiting" and self.standing(m, now_us) == "ready"]
        return sorted(ready, key=lambda m: (-m.priority, m.place, m.number))

    # --- what happens --------------------------------------------------------------------------------------------------

    def publish(self, message: Plain) -> None:
        older = self.of_key(message.type, message.key, "waiting")
        if older is not None:
            older.state = "superseded"
            if older.priority == message.priority:
                message.place = older.place
        self.all.append(message)

    def lease(self, message: Plain, until_us: int, retries: int, *, by_hand: bool) -> None:
        message.state, message.until_us, message.retries, message.by_hand = "out", until_us, retries, by_hand

    def back(self, message: Plain, due_us: int = 0) -> None:
        """It waits again, unless a newer one of its key does."""
        newer = self.of_key(message.type, message.key, "waiting")
        message.state = "waiting" if newer is None else "superseded"
        message.due_us = due_us

    def fail(self, message: Plain, due_us: int, bound: int, *, final: bool = False) -> None:
        """The attempt counts; it was the last one if it is final, or its retries are used up."""
        message.attempts += 1
        if self.of_key(message.type, message.key, "waiting") is None and (final or message.attempts > message.retries):
            if len(self.dead) >= bound:
                self.dead.pop(0).state = "purged"
            message.state = "dead"
            self.dead.append(message)
        else:
            self.back(message, due_us)

    def replay(self, message: Plain) -> None:
        self.dead.remove(message)
        message.before += message.attempts
        message.state, message.attempts, message.due_us, message.place = "waiting", 0, 0, message.number

    def purge(self, message: Plain) -> None:
        self.dead.remove(message)
        message.state = "purged"

    def time_passes(self, now_us: int) -> None:
        for message in self.all:
            if message.state == "waiting" and message.expires_us and message.expires_us <= now_us:
                message.state = "expired"
            elif message.state == "waiting" and message.due_us <= now_us:
                message.due_us = 0
