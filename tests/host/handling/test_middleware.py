"""Middleware goes round publishing and handling, in threads, coroutines and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
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
