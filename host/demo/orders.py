"""The demo's trade: an order line is validated, charged, and its receipt written; three chained handlers.

Which process runs them, and who kills it, is in `demo_child` and `demo`.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from typing import TYPE_CHECKING

import attrs

from perdure.actors.workers.context import Context, Reject
from perdure.events.handlers.backoff import Fixed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure.system import System

__all__ = ["Charge", "OrderLine", "Receipt", "Receipts", "lines", "register"]

LINE_CHARS_MAX = 100_000
CHARGE_S = 0.005
"""How long the card company takes to answer."""
FLAKY_ONE_IN = 25
DECLINED_CARD = "0002"
RETRIES = 20
"""Kills of the process count as attempts; none of them shall turn a good order into a dead letter."""


@attrs.frozen
class OrderLine:
    """One line of the input, as it was read."""

    line: int
    text: str


@attrs.frozen
class Charge:
    """A valid order, to be charged."""

    line: int
    order: str
    amount: float
    card: str


@attrs.frozen
class Receipt:
    """A charged order, to be confirmed."""

    line: int
    order: str
    amount: float


def lines(path: Path) -> Iterator[OrderLine]:
    """Give the lines of a file that are not blank, numbered from 1; bytes that are no text are replaced, never fatal."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, text in enumerate(file, 1):
            if text.strip():
                # One character more than allowed is enough for the handler to see that the line is too long.
                yield OrderLine(number, text.strip()[: LINE_CHARS_MAX + 1])


def to_charge(order: OrderLine) -> Charge:
    """Read an order.

    Raises:
        Reject: it is no order; names the line.
    """
    where = f"line {order.line}"
    if len(order.text) > LINE_CHARS_MAX:
        raise Reject(f"{where}: longer than {LINE_CHARS_MAX} characters")
    try:
        found = json.loads(order.text)
    except (ValueError, RecursionError) as error:
        raise Reject(f"{where}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise Reject(f"{where}: a JSON object is needed, not {type(found).__name__}")
    amount = found.get("amount", 0)
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < 1e12:  # noqa: PLR2004
        raise Reject(f"{where}: amount must be a number from 0, not {str(amount)[:40]!r}")
    return Charge(order.line, str(found.get("id", where))[:200], float(amount), str(found.get("card", ""))[-4:])


class Receipts:
    """The world outside: a file to which receipts are appended, each line once.

    Delivery is at least once: a kill between this write and the queue's commit repeats the handler, so what is there already is
    not written again. One process at a time; any thread.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        whole = path.read_bytes().rpartition(b"\n")
        # A kill in the middle of a write leaves half a line: it is cut off, and its receipt written again.
        os.ftruncate(self._fd, len(whole[0]) + len(whole[1]))
        self.written = {json.loads(text)["line"] for text in whole[0].splitlines()}

    def write(self, receipt: Receipt) -> None:
        """Append a receipt, unless it is there.

        Raises:
            OSError: the disk did not take all of it.
        """
        text = json.dumps(attrs.asdict(receipt)).encode() + b"\n"
        with self._lock:
            if receipt.line in self.written:
                return
            if os.write(self._fd, text) != len(text):
                raise OSError(f"the receipt of line {receipt.line} was written in part; is the disk full?")
            self.written.add(receipt.line)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def register(system: System, receipts: Receipts) -> None:
    """Give a system the three handlers."""
    patience = Fixed(0.05)

    @system.handler(OrderLine, retries=RETRIES, backoff=patience)
    def validate(order: OrderLine, ctx: Context) -> None:
        ctx.publish(to_charge(order))

    @system.handler(Charge, parallelism=8, retries=RETRIES, backoff=patience)
    def charge(order: Charge, ctx: Context) -> None:
        time.sleep(CHARGE_S)
        if order.card == DECLINED_CARD:
            raise Reject(f"line {order.line}: card declined")
        if ctx.attempt == 1 and zlib.crc32(order.order.encode(errors="replace")) % FLAKY_ONE_IN == 0:
            raise ConnectionError(f"the card company did not answer for {order.order}")
        ctx.publish(Receipt(order.line, order.order, order.amount))

    @system.handler(Receipt, retries=RETRIES, backoff=patience)
    def confirm(receipt: Receipt, ctx: Context) -> None:  # noqa: ARG001 - a handler's shape
        receipts.write(receipt)
