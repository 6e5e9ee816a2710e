"""Run the worker beside a web server: it owns the folder and handles what the web processes publish.

perdure run worker:system
"""

from pathlib import Path

from orders import FOLDER, Placed

import perdure

system = perdure.System(FOLDER, shared=True)


@system.handler(Placed, parallelism=4, retries=5)
def charge(order: Placed, ctx: perdure.Context) -> str:
    """Charge an order; the file stands for a payment provider."""
    with Path("charged.txt").open("a", encoding="utf-8") as file:
        file.write(f"{ctx.id} {ctx.attempt}\n")
    return f"receipt of {order.order}"
