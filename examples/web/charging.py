"""Charge orders: handlers without a System, which the worker and the web applications include in theirs."""

from pathlib import Path

from orders import Placed

import perdure

handlers = perdure.Handlers()


@handlers.handler(Placed, parallelism=4, retries=5)
def charge(order: Placed, ctx: perdure.Context) -> str:
    """Charge an order; the file stands for a payment provider."""
    with Path("charged.txt").open("a", encoding="utf-8") as file:
        file.write(f"{ctx.id} {ctx.attempt}\n")
    return f"receipt of {order.order}"
