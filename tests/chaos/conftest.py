"""A census for the chaos tests: it compares what publishers and handlers saw with the log.

Loads and kills are in the tests.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import perdure

    Census = Callable[[perdure.Audit, Iterable[str], Iterable[str], Iterable[str]], None]


def _census(audit: perdure.Audit, sent: Iterable[str], acknowledged: Iterable[str], handled: Iterable[str]) -> None:
    published: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    seqs: list[int] = []
    for record in audit.events():
        seqs.append(record.seq)
        name = type(record.event).__name__
        if name == "Published":
            event: Any = record.event
            published[event.id] += 1
        elif name in {"Completed", "DeadLettered"}:
            ended[str(record.message_id)] += 1
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "sequence numbers repeat or have a gap"
    assert not set(acknowledged) - set(published), "acknowledged, but not recorded"
    assert not set(published) - set(sent), "recorded, but never published"
    assert [ident for ident, times in published.items() if times > 1] == []
    assert [ident for ident, times in ended.items() if times > 1] == []
    assert not set(acknowledged) - set(ended), "acknowledged, and neither handled nor dead-lettered after the drain"
    assert not set(ended) - set(handled), "ended, and its handler never saw it"


@pytest.fixture
def census() -> Census:
    """Return a check of a drained log: nothing is lost, repeated or invented, and no sequence number occurs twice."""
    return _census
