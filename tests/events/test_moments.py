"""Moments between processes whose clocks differ: what is left until one is the same on both sides, whoever is ahead."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from perdure.events.commands import Done, Draft, DraftRun, Extend, LookUp, Publish, Tick
from perdure.events.moments import has_moments, moved, moved_draft

WALL_US = 1_700_000_000_000_000
DAY_US = 86_400_000_000
LEADS = st.integers(-DAY_US, 30 * DAY_US)
LEFT = st.one_of(st.none(), st.integers(-DAY_US, 365 * DAY_US))


def draft(now_us: int, until_due_us: int | None, until_expired_us: int | None) -> Draft:
    moments = [0 if left_us is None else now_us + left_us for left_us in (until_due_us, until_expired_us)]
    return Draft("id", "t", b"", due_us=moments[0], expires_us=moments[1])


def drafts_of(command: Any) -> list[Draft]:
    if isinstance(command, Tick):
        assert command.draft is not None
        return [command.draft]
    return [*command.drafts]


@given(LEFT, LEFT, LEADS, LEADS)
def test_what_is_left_is_the_same_on_both_sides(
    until_due_us: int | None, until_expired_us: int | None, sender_us: int, receiver_us: int
) -> None:
    made = draft(WALL_US + sender_us, until_due_us, until_expired_us)
    for command in (Publish([made, Draft("other", "t", b"")], fresh=True), Done(1, "parent", 1, (made,)), Tick("s", 5, made, 4)):
        arrived = moved(moved(command, -sender_us), receiver_us)
        assert type(arrived) is type(command)
        first = drafts_of(arrived)[0]
        for at_us, left_us in ((first.due_us, until_due_us), (first.expires_us, until_expired_us)):
            assert at_us == (0 if left_us is None else WALL_US + receiver_us + left_us)
        assert moved(moved(command, 1), -1) == command, "nothing else of it changes"
        assert drafts_of(command)[0] is made, "the command itself stays: it may be sent again"


def test_no_moment_becomes_one_and_none_is_lost() -> None:
    brief = Draft("id", "t", b"", due_us=5, expires_us=(1 << 63) - 2)
    assert moved_draft(brief, -60) == brief._replace(due_us=1, expires_us=(1 << 63) - 62), "past, and not: none"
    assert moved_draft(brief, 60) == brief._replace(due_us=65, expires_us=(1 << 63) - 1), "what a field holds"
    wrong = Draft("id", "t", b"", due_us=-5)
    assert moved_draft(wrong, 3_600_000_000) == wrong, "it is refused as it came"


def test_what_has_no_moments_goes_as_it_is() -> None:
    plain = Draft("id", "t", b"")
    commands = [
        Publish([plain]),
        Publish(DraftRun("t", ["id"], [b""])),
        Done(1, "id", 1, (plain,)),
        Tick("s", 5, None),
        Tick("s", 5, plain),
        Extend(1, "id", 1, 5),
        LookUp("id"),
    ]
    for command in commands:
        assert not has_moments(command)
        assert moved(command, 5) is command
