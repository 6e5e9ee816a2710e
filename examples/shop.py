"""Run a shop on FastAPI: the lifespan starts the queue, one endpoint publishes an order, another shows its progress.

pip install "perdure[examples]" && uvicorn shop:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
from fastapi import FastAPI, HTTPException

import perdure

system = perdure.System(os.environ.get("SHOP_DATA", "shop-data"))


@perdure.message(name="shop.OrderPlaced")
@attrs.frozen
class OrderPlaced:
    """An order of a customer."""

    order_id: str
    items: int


@system.handler(OrderPlaced, parallelism=4, retries=5)
async def pack(order: OrderPlaced, ctx: perdure.Context) -> None:
    """Pack the order and report progress."""
    for packed in range(order.items):
        await ctx.aheartbeat(100 * (packed + 1) / order.items, f"{packed + 1} of {order.items} packed")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Start the queue with the application and stop it at the end."""
    async with system:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{order_id}", status_code=202)
async def place(order_id: str, items: int = 3) -> dict[str, str]:
    """Accept an order; answer once it is on disk.

    The same order sent twice counts once, while it lives and until `Options.finished_max` (a million) other messages have ended
    after it. A shop that must recognise orders for ever keeps a table of them.
    """
    return {"message": await system.apublish(OrderPlaced(order_id, items), id=f"order-{order_id}", key=order_id)}


@app.get("/orders/{order_id}")
def progress(order_id: str) -> dict[str, object]:
    """Return the events of an order so far, and its progress."""
    try:
        records = system.audit.timeline(f"order-{order_id}")
    except perdure.UnknownMessage as error:
        raise HTTPException(404, str(error)) from error
    percent, note = system.admin.metrics().progress.get(f"order-{order_id}", (None, ""))
    return {"events": [record.name for record in records], "percent": percent, "note": note}
