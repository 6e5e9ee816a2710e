"""Publish and handle in each worker of a FastAPI application, without a program beside it.

uvicorn shared_app:app --workers 4

One of the workers owns the folder; when it ends, another takes over. The handlers run in all of them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from orders import FOLDER, Placed

import perdure

system = perdure.System(FOLDER, shared=True)


@system.handler(Placed, parallelism=4, retries=5)
def charge(order: Placed, ctx: perdure.Context) -> str:
    """Charge an order; the file stands for a payment provider."""
    with Path("charged.txt").open("a", encoding="utf-8") as file:
        file.write(f"{ctx.id} {ctx.attempt}\n")
    return f"receipt of {order.order}"


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Take part while the worker runs."""
    async with system:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{order}", status_code=202)
async def place(order: str) -> dict[str, str]:
    """Accept an order; answer once it is on disk."""
    return {"id": await system.apublish(Placed(order), id=f"order-{order}")}


@app.post("/receipts/{order}")
async def receipt(order: str) -> dict[str, str]:
    """Charge an order while the customer waits, in whichever worker is free."""
    return {"receipt": await system.acall(Placed(order), timeout=30.0)}
