"""Calls in a child that is forked while threads of the parent hold locks: which calls, the fork, and what must come of them."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from tests.held_locks import all_locks_held
from tests.host.forks.test_forked import FORK, PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import perdure

CALL_S = 15.0
"""Each call may take so long: a start reads a log."""

Calls: TypeAlias = "dict[str, Callable[[], Any]]"


@attrs.frozen
class Job:
    n: int


@attrs.frozen
class Other:
    n: int


def _outcome(call: Callable[[], Any]) -> str:
    outcome = ["hangs"]

    def make() -> None:
        try:
            outcome[0] = f"-> {call()!r}"
        except BaseException as error:  # noqa: BLE001 - any exception is sent to the parent
            outcome[0] = f"{type(error).__name__}: {error}"

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    thread.join(CALL_S)
    return outcome[0]


def _make_all(sending: Any, calls: Calls) -> None:
    for name, call in calls.items():
        sending.send((name, _outcome(call)))
    sending.send(None)


def outcomes(calls: Calls) -> dict[str, str]:
    """Return what came of each call in a child that was forked while all locks were held, in the order of the calls."""
    receiving, sending = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_make_all, args=(sending, calls))
    with all_locks_held() as count:
        assert count > 0
        child.start()
    found: dict[str, str] = {}
    try:
        while receiving.poll(2 * PATIENCE_S) and (one := receiving.recv()) is not None:
            found[one[0]] = one[1]
        assert list(found) == list(calls), "the child hangs, or has ended"
        return found
    finally:
        child.kill()
        child.join()


def calls_of(front: Any, ident: str) -> Calls:
    """Return calls of all parts of a front door: publishing, results, consuming, operating, reading."""

    def coroutine(name: str, *args: Any, **options: Any) -> Callable[[], Any]:
        async def make() -> Any:
            return await getattr(front, name)(*args, **options)

        return lambda: asyncio.run(make())

    return {
        "repr": lambda: repr(front),
        "publish": lambda: front.publish(Job(1)),
        "publish_many": lambda: front.publish_many([Job(1), Job(2)]),
        "submit": lambda: front.submit(Job(1)).result(CALL_S),
        "apublish": coroutine("apublish", Job(1)),
        "call": lambda: front.call(Job(1), timeout=0.1),
        "state": lambda: front.state(ident).status,
        "astate": coroutine("astate", ident),
        "result": lambda: front.result(ident, timeout=0.1),
        "cancel": lambda: front.cancel(ident),
        "checkout": lambda: front.checkout(Job),
        "drain": lambda: front.drain(timeout=0.1),
        "metrics": lambda: front.admin.metrics().published > 0,
        "handlers": lambda: len(front.admin.handlers()),
        "pause": lambda: front.admin.pause(Job),
        "dead letters": front.dead_letters.list,
        "timeline": lambda: len(list(front.audit.timeline(ident))),
        "verify": lambda: bool(front.audit.verify()),
    }


WORK_ANYWHERE = {"repr", "timeline", "verify", "running", "partitions", "handler", "stop", "once more"}


def check_refused(found: dict[str, str], works: set[str] = WORK_ANYWHERE) -> None:
    """Check that each call was refused, with what says of a fork, or needs no threads."""
    for name, outcome in found.items():
        if name in works:
            assert outcome.startswith("-> "), (name, outcome)
        else:
            assert outcome.startswith("NotRunning: "), (name, outcome)
            assert f"forked from process {os.getpid()}" in outcome, (name, outcome)


def check_works(found: dict[str, str], refused: dict[str, str]) -> None:
    """Check that each call worked, but for those that end otherwise here, in any process."""
    for name, outcome in found.items():
        assert outcome.startswith(refused.get(name, "-> ")), (name, outcome)


@contextmanager
def start_under_way(front: perdure.System | perdure.Cluster) -> Iterator[None]:
    """Start a System or Cluster in another thread, which stands in a hook of the start for the length of the block."""
    is_in_hook, may_go_on = threading.Event(), threading.Event()

    @front.on_start
    def wait() -> None:
        is_in_hook.set()
        may_go_on.wait(4 * PATIENCE_S)

    starting = threading.Thread(target=front.start)
    starting.start()
    is_in_hook.wait()
    try:
        yield
    finally:
        may_go_on.set()
        starting.join()
        front.stop()
