"""The messages of these tests, and an owner as a program: `python shop.py FOLDER`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import perdure


@perdure.message(name="shop.Order")
@dataclass
class Order:
    number: int


@perdure.message(name="shop.Nap")
@dataclass
class Nap:
    seconds: float


@perdure.message(name="shop.Quote")
@dataclass
class Quote:
    number: int


def shop(folder: str, **options: Any) -> perdure.System:
    """Make an owner that handles both types."""
    system = perdure.System(folder, shared=True, **options)

    @system.handler(Order, retries=0)
    def order(message: Order) -> None:
        if message.number < 0:
            msg = "no such order"
            raise ValueError(msg)

    @system.handler(Nap)
    def nap(message: Nap) -> None:
        time.sleep(message.seconds)

    @system.handler(Quote, retries=0)
    def quote(message: Quote) -> int:
        if message.number < 0:
            msg = "no such quote"
            raise ValueError(msg)
        return message.number * 2

    return system


if __name__ == "__main__":
    with shop(sys.argv[1]):
        print("up", flush=True)
        time.sleep(600)
