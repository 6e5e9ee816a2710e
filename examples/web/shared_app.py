"""Publish and handle in each worker of a FastAPI application, without a program beside it.

uvicorn shared_app:app --workers 4

One of the workers owns the folder; when it ends, another takes over. The handlers run in all of them.
"""

from charging import handlers
from fastapi import FastAPI
from orders import FOLDER, Placed

import perdure
from perdure.integrations.starlette import lifespan
from perdure.telemetry import asgi

system = perdure.System(FOLDER, shared=True)
system.include(handlers)
app = FastAPI(lifespan=lifespan(system))
app.mount("/health", asgi(system))


@app.post("/orders/{order}", status_code=202)
async def place(order: str) -> dict[str, str]:
    """Accept an order; answer once it is on disk."""
    return {"id": await system.apublish(Placed(order), id=f"order-{order}")}


@app.post("/receipts/{order}")
async def receipt(order: str) -> dict[str, str]:
    """Charge an order while the customer waits, in whichever worker is free."""
    return {"receipt": await system.acall(Placed(order), timeout=30.0)}
