"""Waits without a timeout, in a client and in a member: they last until the answer is there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from tests.host.processes.shop import Nap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAP_S = 0.3


@pytest.fixture(params=["client", "member"])
def other(request: pytest.FixtureRequest, start: Callable[[], object], folder: Path) -> Iterator[Any]:
    """Another process's front door to the folder of a shop."""
    start()
    member = perdure.System(folder, shared=True, ownership="never")
    with perdure.connect(folder) if request.param == "client" else member as other:
        yield other


def test_without_a_timeout_call_result_and_drain_wait_as_long_as_it_takes(other: Any) -> None:
    assert other.call(Nap(NAP_S)) is None
    assert other.result(other.publish(Nap(NAP_S), keep_result=60)) is None
    other.publish(Nap(NAP_S))
    other.drain()
    assert other.admin.metrics().completed == 3


def test_a_start_that_gets_no_more_threads_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, begun = threading.Thread.start, []

    def no_more(thread: threading.Thread) -> None:
        if thread.name.startswith("perdure-") and thread.name != "perdure-start":
            begun.append(thread.name)
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)

    with monkeypatch.context() as few:
        few.setattr(threading.Thread, "start", no_more)
        with pytest.raises((RuntimeError, perdure.PerdureError), match="thread"):
            perdure.System(folder, shared=True).start()
    assert begun
    assert perdure.System.live(folder) is None
    with perdure.System(folder, shared=True) as again:
        assert again.role == "owner"
