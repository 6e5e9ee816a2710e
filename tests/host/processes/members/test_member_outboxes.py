"""What a process relays while another one owns the folder, and from when it owns it itself."""

from __future__ import annotations

from typing import Any

import attrs

from perdure.actors.core.extensions import Extensions
from perdure.actors.core.messages import Wake
from perdure.actors.sessions.framing.wire import Assembler, Kind
from perdure.processes.member_outboxes import MemberOutboxes


@attrs.define
class Source:
    shared_as: str | None
    name: str = "outbox"


class Runtime:
    """The parts of a process that know its outboxes."""

    def __init__(self) -> None:
        self.extensions = Extensions()
        self.directory = self
        self.told: list[tuple[str, type]] = []

    def tell(self, actor: str, message: object) -> None:
        self.told.append((actor, type(message)))


class Member:
    def __init__(self, shared_as: str | None) -> None:
        self.posted: list[bytes] = []
        self.runtime = Runtime()
        source: Any = Source(shared_as)
        self.source = source
        self.runtime.extensions.add_outbox(source)
        runtime: Any = self.runtime
        self.outboxes = MemberOutboxes(runtime, self.posted.append)

    @property
    def relays(self) -> bool:
        return self.runtime.extensions.relays(self.source)


def test_it_relays_what_the_owner_says_and_all_once_it_owns_the_folder() -> None:
    member = Member("orders")
    assert not member.relays, "no owner has said anything"
    member.outboxes.take({"relays": {"bills": 0}})
    assert not member.relays
    member.outboxes.take({"relays": {"orders": 0}})
    assert member.relays
    member.outboxes.take({})
    assert not member.relays
    member.outboxes.leave()
    assert member.relays
    member.outboxes.take({"relays": {}})
    assert member.relays, "what the owner before says late"
    assert set(member.runtime.told) == {("relay", Wake)}


def test_what_no_other_process_reads_it_relays_in_any_case() -> None:
    assert Member("").relays
    assert Member(None).relays, "until it is known what it reads"
    assert Member("").outboxes.first_frames() == []


def test_what_it_cannot_read_it_leaves_to_others_and_tries_again() -> None:
    member = Member("orders")
    member.runtime.extensions.note_reading(member.source, failed=True)
    assert member.outboxes.claims() == []
    assert member.relays, "in order to know when it can"
    member.runtime.extensions.note_reading(member.source, failed=False)
    assert member.outboxes.claims() == [["orders", 0]]
    assert not member.relays


def test_the_owner_is_told_of_outboxes_and_of_news_in_them() -> None:
    member = Member("orders")
    assert member.outboxes.claims() == [["orders", 0]]
    for _ in range(2):
        granted = member.runtime.extensions.granted
        assert granted is not None
        granted.hurry()
    assert [*Assembler().feed(b"".join(member.posted))] == [(Kind.PING, [["orders", 1]]), (Kind.PING, [["orders", 2]])]
    assert member.outboxes.claims() == [["orders", 2]]
