"""A coroutine that is cancelled before it has begun: it never begins, its wait ends, and Python has nothing to warn about."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.execution.loop_call import LoopCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def begin_and_cancel(loop: asyncio.AbstractEventLoop, call: LoopCall) -> None:
    loop.call_soon(call.begin)
    loop.call_soon(call.cancel)


def cancel_and_begin(loop: asyncio.AbstractEventLoop, call: LoopCall) -> None:
    call.cancel()
    loop.call_soon(call.begin)


def cancel_only(_loop: asyncio.AbstractEventLoop, call: LoopCall) -> None:
    call.cancel()


def fail(loop: asyncio.AbstractEventLoop, call: LoopCall) -> None:
    loop.call_soon(call.begin)
    call.fail(asyncio.CancelledError())


@pytest.mark.parametrize("end", [begin_and_cancel, cancel_and_begin, cancel_only, fail])
def test_a_call_that_ends_before_its_first_step(
    loop: asyncio.AbstractEventLoop, end: Callable[[asyncio.AbstractEventLoop, LoopCall], None]
) -> None:
    steps: list[str] = []

    async def work() -> None:
        steps.append("ran")

    gc.collect()  # what other tests left, and would warn of now
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call = LoopCall(loop, 1, work())
        end(loop, call)
        loop.run_until_complete(asyncio.sleep(0.001))
        with pytest.raises(asyncio.CancelledError):
            call.wait(0)
        assert call.never_ran()
        del call
        gc.collect()
    assert steps == []
    assert [str(warning.message) for warning in caught if "never awaited" in str(warning.message)] == []


def test_a_call_that_has_begun_is_cancelled_where_it_waits(loop: asyncio.AbstractEventLoop) -> None:
    steps: list[str] = []

    async def work() -> Any:
        steps.append("ran")
        await asyncio.sleep(60)

    call = LoopCall(loop, 1, work())
    loop.call_soon(call.begin)
    loop.run_until_complete(asyncio.sleep(0.001))
    call.cancel()
    loop.run_until_complete(asyncio.sleep(0.001))
    with pytest.raises(asyncio.CancelledError):
        call.wait(0)
    assert not call.never_ran()
    assert steps == ["ran"]
