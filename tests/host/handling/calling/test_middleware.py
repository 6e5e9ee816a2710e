"""Middleware goes round publishing and handling, in threads, coroutines and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@attrs.frozen
class Job:
    number: int


class Tagging(perdure.Middleware):
    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        if message == Job(13):
            refusal = "13 is refused"
            raise perdure.InvalidMessage(refusal)
        self.seen.append(f"publish {self.name}")
        headers = {**(options.get("headers") or {}), self.name: "yes"}
        return call_next(message, {**options, "headers": headers})

    def handle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        self.seen.append(f"enter {self.name}")
        try:
            return call_next(message, context)
        finally:
            self.seen.append(f"leave {self.name}")

    async def ahandle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        self.seen.append(f"enter {self.name}")
        result = await call_next(message, context)
        self.seen.append(f"leave {self.name}")
        return result


@pytest.mark.parametrize("kind", ["thread", "async", "process"])
def test_middleware_goes_round_publish_and_handle(folder: Path, kind: str) -> None:
    seen: list[str] = []
    system = perdure.System(folder, middleware=[Tagging("outer", seen), Tagging("inner", seen)])

    async def coroutine(job: Job, ctx: perdure.Context) -> dict[str, str]:
        return dict(ctx.headers)

    def plain(job: Job, ctx: Any) -> dict[str, str]:
        return dict(ctx.headers)

    if kind == "async":
        system.handler(Job)(coroutine)
    else:
        system.handler(Job, isolation="process" if kind == "process" else "thread")(plain)
    with system:
        with pytest.raises(perdure.InvalidMessage, match="13 is refused"):
            system.publish_many([Job(1), Job(13)])
        assert system.admin.metrics().published == 0
        seen.clear()
        assert system.call(Job(2), timeout=30.0) == {"outer": "yes", "inner": "yes"}
        assert seen == ["publish outer", "publish inner", "enter outer", "enter inner", "leave inner", "leave outer"]


class Watching(perdure.Middleware):
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def send(self, messages: Sequence[Any], call_next: Callable[[], Any]) -> Any:
        self.seen.append(f"sends {[job.number for job in messages]}")
        try:
            result = call_next()
        except perdure.InvalidMessage:
            self.seen.append("refused")
            raise
        self.seen.append("returns" if isinstance(result, (str, list)) else "goes on")
        return result


def test_send_goes_round_each_call_that_publishes_and_no_other(folder: Path) -> None:
    seen: list[str] = []
    system = perdure.System(folder, middleware=[Watching(seen), Tagging("inner", seen)])

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> None:
        if job.number < 9:
            ctx.publish(Job(9))

    with system:
        system.publish(Job(1))
        system.drain(timeout=30.0)
        assert [line for line in seen if "inner" not in line] == ["sends [1]", "returns"]
        assert seen.count("publish inner") == 2
        seen.clear()
        system.publish_many([Job(9), Job(10)])
        system.submit(Job(11)).result(30.0)
        with pytest.raises(perdure.InvalidMessage):
            system.publish(Job(13))
        system.drain(timeout=30.0)
    told = [line for line in seen if line not in ("enter inner", "leave inner")]
    one = ["publish inner"]
    assert told == ["sends [9, 10]", *one * 2, "returns", "sends [11]", *one, "goes on", "sends [13]", "refused"]
