"""Which publishes in a row are accepted by one decision, and what becomes of them."""

from __future__ import annotations

import pytest

from perdure.events.commands import Draft, DraftRun, Publish
from perdure.events.queue.admission.publish_groups import SHORT_RUN, group_key, merged
from perdure.events.structures.id_index import IdRun


def run(type_name: str, n: int, *, fresh: bool = True) -> Publish:
    return Publish(DraftRun(type_name, [f"{type_name}{i}" for i in range(n)], [b"x"] * n), fresh=fresh)


def special(ident: str) -> Publish:
    return Publish([Draft(ident, "t", b"xy", key="k")])


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (run("a", 1), run("a", 1), True),
        (run("a", 1), run("a", SHORT_RUN), True),
        (run("a", 1), run("b", 1), False),
        (run("a", 1), run("a", SHORT_RUN + 1), False),
        (run("a", SHORT_RUN + 1), run("a", SHORT_RUN + 1), False),
        (run("a", 1), special("m"), False),
        (special("m"), special("n"), True),
        (run("a", 1, fresh=False), special("n"), True),
        (run("a", 1, fresh=False), run("a", 1), False),
    ],
    ids=[
        "plain ones of a type",
        "short runs",
        "two types",
        "a long run",
        "two long runs",
        "plain and special",
        "special ones",
        "sent again and special",
        "sent again and fresh",
    ],
)
def test_grouping(one: Publish, other: Publish, together: bool) -> None:
    assert (group_key(one) == group_key(other)) == together
    assert (group_key(other) == group_key(one)) == together


def test_plain_messages_stay_in_columns() -> None:
    both = merged([run("a", 2), Publish(DraftRun("a", IdRun("p", 7, 1), [b"y"]), fresh=True)])
    assert both.fresh
    assert isinstance(both.drafts, DraftRun)
    assert both.drafts.payload_bytes() == 3
    assert [*both.drafts] == [Draft("a0", "a", b"x"), Draft("a1", "a", b"x"), Draft("p000000000007", "a", b"y")]


def test_special_messages_become_one_list_and_are_looked_at() -> None:
    both = merged([special("m"), run("a", 1, fresh=False), special("n")])
    assert not both.fresh
    assert [draft.id for draft in both.drafts] == ["m", "a0", "n"]
