"""A process that can read an outbox's rows and not settle them leaves the outbox to the others, until it can."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import perdure
from perdure.actors.core.extensions import Extensions, Granted
from perdure.actors.services.relay import Relay


@attrs.define(eq=False)
class Outbox:
    rows: list[int]
    can_delete: bool = True
    name: str = "outbox-1"
    every_s: float = 1.0
    shared_as: str = "orders"
    is_spool: bool = False

    def read(self, after: int) -> list[tuple[int, Any]]:
        return [(row, [f"draft {row}"]) for row in self.rows if row > after]

    def delete(self, rows: list[int]) -> None:
        if not self.can_delete:
            msg = "permission denied for table perdure_outbox"
            raise OSError(msg)
        self.rows = [row for row in self.rows if row not in rows]


class Process:
    """The relay of a process that does not own the folder, and a queue that answers at once."""

    def __init__(self, outbox: Outbox) -> None:
        self.now_s = 0.0
        self.forbidden: set[str] = set()
        self.mail: list[Any] = []
        self.extensions = Extensions()
        self.extensions.granted = Granted(lambda: None)
        self.extensions.granted.names = {"orders"}
        source: Any = outbox
        self.extensions.add_outbox(source)
        parts: Any = self
        self.relay = Relay(parts, parts, parts, self.extensions, 1)

    def monotonic_s(self) -> float:
        return self.now_s

    def tell(self, actor: str, message: Any) -> None:
        assert actor == "relay"
        self.mail.append(message)

    def send(self, actor: str, publish: Any, reply: Any, *, from_outside: bool) -> None:
        assert actor == "queue"
        assert not from_outside
        if self.forbidden.intersection(publish.drafts):
            reply.reject(perdure.NotAllowed("no"))
        else:
            reply.resolve(None)

    def looks(self) -> bool:
        """Look at the outbox once its pause is over, and return whether it is claimed afterwards."""
        self.now_s += 100.0
        self.relay.on_idle()
        while self.mail:
            mail, self.mail = self.mail, []
            self.relay.on_batch(mail)
        return self.extensions.shared_outboxes() == ["orders"]


def test_one_that_may_not_delete_hands_the_outbox_over_until_it_may() -> None:
    outbox = Outbox([1, 2], can_delete=False)
    process = Process(outbox)
    assert not process.looks()
    outbox.rows = []
    assert not process.looks(), "that another process has settled them says nothing of this one"
    outbox.rows, outbox.can_delete = [3], True
    assert process.looks()
    assert outbox.rows == []


@pytest.mark.parametrize("forbidden", [1, 2])
def test_one_that_may_not_publish_some_rows_hands_the_outbox_over_until_it_may(forbidden: int) -> None:
    outbox = Outbox([1, 2])
    process = Process(outbox)
    process.forbidden = {f"draft {forbidden}"}
    assert not process.looks()
    assert outbox.rows == [forbidden], "the other was published by itself"
    assert not process.looks()
    process.forbidden.clear()
    assert process.looks()
    assert outbox.rows == []
