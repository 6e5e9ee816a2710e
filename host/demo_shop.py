"""The demo's shop: a host application as a user would write one; validate, charge and receipt as three chained handlers.

Run as a process of its own (`python -m perdure.demo_shop FOLDER INPUT OUTPUT CHAOS`), because the demo kills it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import attrs

import perdure

__all__ = ["Charge", "OrderLine", "Receipt", "build", "serve"]

PUBLISH_BATCH = 100
GATEWAY_BACKOFF = perdure.Fixed(0.02)


@perdure.message(name="demo.order-line")
@attrs.frozen
class OrderLine:
    """One line of the input, as it was read."""

    number: int
    text: str


@perdure.message(name="demo.charge")
@attrs.frozen
class Charge:
    """A valid order, to be paid."""

    line: int
    order_id: str
    amount: float
    card: str


@perdure.message(name="demo.receipt")
@attrs.frozen
class Receipt:
    """A paid order, to be told to the customer."""

    line: int
    order_id: str
    amount: float


class Output:
    """The file of receipts. A handler may run again after a crash, so it looks whether a line is there before it writes one."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        whole = path.read_bytes().rpartition(b"\n")[0]
        self._there = {json.loads(line)["line"] for line in whole.splitlines()}
        os.ftruncate(self._fd, len(whole) + bool(whole))

    def write(self, receipt: Receipt) -> None:
        """Append a receipt, once."""
        if receipt.line not in self._there:
            os.write(self._fd, json.dumps(attrs.asdict(receipt)).encode() + b"\n")
            self._there.add(receipt.line)


def build(folder: Path, output: Output) -> perdure.System:
    """Make the system with its three handlers."""
    system = perdure.System(folder)

    @system.handler(OrderLine, parallelism=2)
    def validate(line: OrderLine, ctx: perdure.Context) -> None:
        try:
            order: dict[str, Any] = json.loads(line.text)
            charge = Charge(line.number, str(order["id"]), float(order["amount"]), str(order.get("card", "ok")))
        except (ValueError, KeyError, TypeError) as error:
            reason = f"line {line.number} is no order: {error}"
            raise perdure.Reject(reason) from error
        ctx.publish(charge, key=str(line.number))

    @system.handler(Charge, parallelism=4, retries=5, backoff=GATEWAY_BACKOFF)
    def charge(order: Charge, ctx: perdure.Context) -> None:
        if order.card == "declined":
            reason = "the card was declined"
            raise perdure.Reject(reason)
        if order.card == "flaky" and ctx.attempt < 3:  # noqa: PLR2004 - it works at the third attempt
            msg = "the payment gateway did not answer"
            raise ConnectionError(msg)
        ctx.publish(Receipt(order.line, order.order_id, order.amount), key=str(order.line))

    @system.handler(Receipt)
    def receipt(paid: Receipt, _ctx: perdure.Context) -> None:
        output.write(paid)

    return system


def serve(folder: Path, source: Path, output: Path, chaos: str) -> None:
    """Publish the input and handle it; with `chaos` `kill`, die by SIGKILL half-way, actors first.

    Publishing is idempotent by line, so a second process may publish the whole input again.
    """
    lines = [text for text in source.read_text(encoding="utf-8", errors="replace").splitlines() if text.strip()]
    system = build(folder, Output(output))
    with system:
        if chaos == "kill":
            threading.Thread(target=_break, args=(system, len(lines)), daemon=True).start()
        for number, text in enumerate(lines, 1):
            system.submit(OrderLine(number, text), id=f"line-{number}")
        system.drain(timeout=60)
        if chaos == "kill":
            os.kill(os.getpid(), signal.SIGKILL)  # the input was so small that it was done before half-way was noticed


def _break(system: perdure.System, total: int) -> None:
    """Kill actors while the work goes on, then the whole process."""
    chance = random.Random(7)  # noqa: S311 - which actor dies is no secret
    half = total * 3 // 2  # each line becomes up to three messages
    done = kills = 0
    while done < half:
        done = system.admin.metrics().completed
        if kills < 12 and done * 14 > half * (kills + 1):  # noqa: PLR2004 - a dozen deaths, spread over the first half
            system.actors.kill(chance.choice([name for name in system.actors if name != "snapshotter"]))
            kills += 1
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
