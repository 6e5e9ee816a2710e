"""The future of a publish behaves as the standard library's, however a thread or coroutine waits for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, as_completed, wait

import pytest

from perdure.publishing.publish_future import PublishFuture


def test_a_waiting_thread_is_woken_by_the_answer() -> None:
    future: PublishFuture[str] = PublishFuture("id")
    found: list[str] = []
    waits = threading.Thread(target=lambda: found.append(future.result(10)))
    waits.start()
    future.resolve(None)
    waits.join()
    assert found == ["id"]
    assert (future.done(), future.cancelled(), future.running()) == (True, False, False)


def test_the_first_answer_counts() -> None:
    future: PublishFuture[str] = PublishFuture()
    future.resolve("first")
    future.reject(ValueError("second"))
    future.resolve("third")
    assert future.result() == "first"
    assert future.exception() is None
    assert not future.cancel()


def test_a_refusal_is_raised_and_passed_to_callbacks() -> None:
    future: PublishFuture[str] = PublishFuture("id")
    error = ValueError("refused")
    future.reject(error)
    with pytest.raises(ValueError, match="refused"):
        future.result(0)
    assert future.exception(0) is error


def test_no_answer_in_time() -> None:
    future: PublishFuture[str] = PublishFuture("id")
    with pytest.raises(TimeoutError):
        future.result(0.001)
    assert not future.done()


def test_cancelled_it_stays_so() -> None:
    future: PublishFuture[str] = PublishFuture("id")
    assert future.cancel()
    assert future.cancel()
    future.resolve(None)
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result(0)


@pytest.mark.parametrize("early", [True, False])
def test_callbacks_are_called_once_before_or_after(early: bool) -> None:
    future: PublishFuture[str] = PublishFuture("id")
    seen: list[str] = []
    if not early:
        future.resolve(None)
    future.add_done_callback(lambda done: seen.append(done.result()))
    future.add_done_callback(lambda _: 1 / 0)  # told to the log, and no obstacle
    future.add_done_callback(lambda done: seen.append(done.result()))
    if early:
        future.resolve(None)
    assert seen == ["id", "id"]


def test_the_standard_functions_wait_for_it() -> None:
    futures = [PublishFuture(str(i)) for i in range(4)]
    futures[0].resolve(None)
    done, _ = wait(futures, timeout=10, return_when=FIRST_COMPLETED)
    assert done == {futures[0]}
    later = threading.Thread(target=_end_each, args=(futures[1:],))
    later.start()
    assert set(as_completed(futures, timeout=10)) == set(futures)
    later.join()


def test_asyncio_waits_for_it() -> None:
    async def main() -> str:
        future: PublishFuture[str] = PublishFuture("id")
        threading.Thread(target=future.resolve, args=(None,)).start()
        return await asyncio.wrap_future(future)

    assert asyncio.run(main()) == "id"


def test_many_threads_race_to_end_and_to_wait() -> None:
    """A thread that begins to wait while the answer comes is never left waiting."""
    for _ in range(300):
        assert _race() == ["id"] * 4


def _race() -> list[str]:
    future: PublishFuture[str] = PublishFuture("id")
    seen: list[str] = []
    waiters = [threading.Thread(target=lambda: seen.append(future.result(10))) for _ in range(3)]
    waiters.append(threading.Thread(target=lambda: future.add_done_callback(lambda done: seen.append(done.result()))))
    enders = [threading.Thread(target=future.resolve, args=(None,)) for _ in range(2)]
    for thread in (*waiters[:2], enders[0], *waiters[2:], enders[1]):
        thread.start()
    for thread in (*waiters, *enders):
        thread.join()
    return seen


def _end_each(futures: list[PublishFuture[str]]) -> None:
    futures[0].resolve(None)
    futures[1].reject(ValueError())
    futures[2].cancel()
