"""Publish from each worker of a FastAPI application.

perdure run worker:system & uvicorn fastapi_app:app --workers 4
"""

from fastapi import FastAPI, Request
from orders import FOLDER, Placed

import perdure
from perdure.integrations.starlette import lifespan

app = FastAPI(lifespan=lifespan(lambda: perdure.connect(FOLDER)))


@app.post("/orders/{order}", status_code=202)
async def place(order: str, request: Request) -> dict[str, str]:
    """Accept an order; answer once it is on disk. A browser may send it again: the same id counts once."""
    return {"id": await request.app.state.perdure.apublish(Placed(order), id=f"order-{order}")}


@app.get("/orders/{order}")
async def show(order: str, request: Request) -> dict[str, str]:
    """Show how far an order is."""
    state = await request.app.state.perdure.astate(f"order-{order}")
    return {"status": state.status}
