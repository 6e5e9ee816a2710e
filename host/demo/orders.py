"""The messages and handlers of the demo: three chained handlers validate an order line, charge it, and write its receipt.

Not here: the process that runs them (`child`), and the process that starts it (`runner`).
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
"""How long a charge takes."""
FLAKY_ONE_IN = 25
DECLINED_CARD = "0002"
RETRIES = 20
"""A kill of the process counts as an attempt, and must not make a dead letter of a valid order."""


@attrs.frozen
class OrderLine:
    """One line of the input file, unparsed."""

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
    """Yield the lines of a file that are not blank, numbered from 1; bytes that are not UTF-8 are replaced."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, text in enumerate(file, 1):
            if text.strip():
                # One character beyond the limit is enough for the handler to see that the line is too long.
                yield OrderLine(number, text.strip()[: LINE_CHARS_MAX + 1])


def to_charge(order: OrderLine) -> Charge:
    """Return the charge for an order line.

    Raises:
        Reject: the line is not an order; the reason names the line.
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
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < 1e12:  # noqa: PLR2004 - any bound will do
        raise Reject(f"{where}: amount must be a number from 0, not {str(amount)[:40]!r}")
    return Charge(order.line, str(found.get("id", where))[:200], float(amount), str(found.get("card", ""))[-4:])


class Receipts:
    """A file of receipts, one per order line. For one process at a time; safe in any thread.

    Delivery is at least once: after a kill between this write and the queue's commit the handler runs again, so a receipt that is
    in the file is not written again.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        whole = path.read_bytes().rpartition(b"\n")
        # A kill during a write leaves half a line: cut it off; its handler runs again and writes the receipt.
        os.ftruncate(self._fd, len(whole[0]) + len(whole[1]))
        self.written = {json.loads(text)["line"] for text in whole[0].splitlines()}

    def write(self, receipt: Receipt) -> None:
        """Append a receipt, unless the file has it.

        Raises:
            OSError: the disk took only a part of it.
        """
        text = json.dumps(attrs.asdict(receipt)).encode() + b"\n"
        with self._lock:
            if receipt.line in self.written:
                return
            if os.write(self._fd, text) != len(text):
                raise OSError(f"the receipt of line {receipt.line} was written in part; is the disk full?")
            self.written.add(receipt.line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def register(system: System, receipts: Receipts) -> None:
    """Register the three handlers with a system."""
    backoff = Fixed(0.05)

    @system.handler(OrderLine, retries=RETRIES, backoff=backoff)
    def validate(order: OrderLine, ctx: Context) -> None:
        ctx.publish(to_charge(order))

    @system.handler(Charge, parallelism=8, retries=RETRIES, backoff=backoff)
    def charge(order: Charge, ctx: Context) -> None:
        time.sleep(CHARGE_S)
        if order.card == DECLINED_CARD:
            raise Reject(f"line {order.line}: card declined")
        if ctx.attempt == 1 and zlib.crc32(order.order.encode(errors="replace")) % FLAKY_ONE_IN == 0:
            raise ConnectionError(f"the payment service did not answer for {order.order}")
        ctx.publish(Receipt(order.line, order.order, order.amount))

    @system.handler(Receipt, retries=RETRIES, backoff=backoff)
    def confirm(receipt: Receipt) -> None:
        receipts.write(receipt)
