"""A thread that dies before its work began is a failed start, never a wait in vain."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from perdure.store.disk.background_thread import BackgroundThread, NoThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def raises(*_: object) -> Any:
    raise ValueError("the host's tracer is broken")


@pytest.fixture
def _restored() -> Iterator[None]:
    tracer, profiler = threading.gettrace(), threading.getprofile()
    yield
    threading.settrace(tracer)
    threading.setprofile(profiler)


@pytest.mark.usefixtures("_restored")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("set_hook", [threading.settrace, threading.setprofile])
def test_a_start_fails_where_a_tracer_ends_the_thread(set_hook: Callable[[Any], None]) -> None:
    done = threading.Event()
    set_hook(raises)
    with pytest.raises(NoThread, match="the thread t ended before its work began"):
        BackgroundThread(done.set, "t").start()
    set_hook(None)
    assert not done.is_set()


def test_it_does_its_work() -> None:
    got: list[int] = []
    thread = BackgroundThread(got.append, "t", 7)
    thread.start()
    thread.join()
    assert got == [7]
