"""A shop on FastAPI: the lifespan starts the queue, one endpoint publishes an order, one shows how far it is.

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
    """Somebody wants something."""

    order_id: str
    items: int


@system.handler(OrderPlaced, parallelism=4, retries=5)
async def pack(order: OrderPlaced, ctx: perdure.Context) -> None:
    """Pack the order, telling how far it is."""
    for packed in range(order.items):
        await ctx.aheartbeat(100 * (packed + 1) / order.items, f"{packed + 1} of {order.items} packed")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Start the queue with the application, and stop it in good order."""
    async with system:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{order_id}", status_code=202)
async def place(order_id: str, items: int = 3) -> dict[str, str]:
    """Accept an order; the answer is given once it is on disk.

    Sent twice, it is one order: for as long as it lives, and until `Options.finished_max` others have ended after it, a million.
    A shop that must know for ever keeps a table of its orders.
    """
    return {"message": await system.apublish(OrderPlaced(order_id, items), id=f"order-{order_id}", key=order_id)}


@app.get("/orders/{order_id}")
def progress(order_id: str) -> dict[str, object]:
    """Tell what has happened to an order so far."""
    try:
        story = system.audit.timeline(f"order-{order_id}")
    except perdure.UnknownMessage as error:
        raise HTTPException(404, str(error)) from error
    percent, note = system.admin.metrics().progress.get(f"order-{order_id}", (None, ""))
    return {"events": [record.name for record in story], "percent": percent, "note": note}
