"""A console in a web server that forks its workers: what threads of the parent did at the fork holds up no page of a child."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.console.asked import Asked
from perdure.console.counting import Counts
from perdure.console.guard.sessions import OneTimeToken
from perdure.console.log.live import Live
from perdure.console.log.past import Past
from perdure.store import SegmentStore
from tests.host.console.conftest import PATIENCE_S
from tests.host.forks.forked_calls import outcomes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

EVENTS = 40


@attrs.frozen
class Job:
    n: int


def test_each_part_of_a_console_works_in_a_forked_child(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish_many([Job(n) for n in range(EVENTS)])
    reader = SegmentStore(folder).separate_reader()
    live, past, counts, token = Live(reader), Past(reader), Counts(), OneTimeToken()
    slow, parent = threading.Event(), os.getpid()
    asked = Asked(lambda: slow.wait(PATIENCE_S if os.getpid() == parent else 0.0) or "answered", "an answer")
    now = Asked(lambda: "answered", "an answer")

    def published() -> int:
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            try:
                with live.looked_at() as states:
                    return sum(counts.published for counts in states.queue.by_type.values())
            except perdure.PerdureError:
                continue  # it is being read
        raise TimeoutError

    assert published() == EVENTS
    assert asked.newest(0.0) is None, "it is being asked for at the fork"
    before = live._thread
    try:
        found = outcomes(
            {
                "live": published,
                "past": lambda: past.at(5, PATIENCE_S).states.seq,
                "asked": lambda: now.newest(PATIENCE_S),
                "asked at the fork": lambda: asked.newest(PATIENCE_S),
                "counted": lambda: counts.forget("a browser"),
                "token": lambda: token.use("another"),
            }
        )
    finally:
        slow.set()
    assert found == {
        "live": f"-> {EVENTS}",
        "past": "-> 5",
        "asked": "-> 'answered'",
        "asked at the fork": "-> 'answered'",
        "counted": "-> None",
        "token": "-> False",
    }
    assert live._thread is before, "nothing has changed in the parent"
    live.close()
    past.close()
