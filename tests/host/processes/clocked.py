"""A process of its own on a folder, whose clock is ahead of the wall clock: `python clocked.py KIND FOLDER SECONDS`.

It publishes what it is told: each line of its input is JSON, the options of a publish. KIND is `client`, `spooling` or `member`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@perdure.message(name="clocked.Item")
@dataclass
class Item:
    number: int


@perdure.message(name="clocked.Parent")
@dataclass
class Parent:
    ttl: float


@contextlib.contextmanager
def _wall_clock_ahead(seconds: float) -> Iterator[None]:
    """Within the block, the wall clock of this process is ahead; at its end, it is put back."""
    was = time.time_ns
    time.time_ns = lambda: was() + round(seconds * 1e9)
    try:
        yield
    finally:
        time.time_ns = was


def ahead(seconds: float, make: Callable[[], Any]) -> Any:
    """Return what `make` makes, with a clock that is ahead of the wall clock from then on: that was put back since."""
    with _wall_clock_ahead(seconds):
        return make()


def _made(kind: str, folder: str) -> Any:
    if kind != "member":
        return perdure.connect(folder, spool=kind == "spooling")
    system = perdure.System(folder, shared=True, ownership="never")

    @system.handler(Parent, timeout=30.0)
    def parent(message: Parent, ctx: perdure.Context) -> str:
        return ctx.publish(Item(0), ttl=message.ttl)

    system.start()
    return system


def _run(kind: str, folder: str, seconds: float) -> None:
    made = ahead(seconds, lambda: _made(kind, folder))
    print('"up"', flush=True)
    for line in sys.stdin:
        print(json.dumps(made.publish(Item(0), **json.loads(line))), flush=True)


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2], float(sys.argv[3]))
