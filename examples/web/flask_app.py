"""Publish from Flask, while its reloader starts the program anew at each change of a file.

perdure run worker:system & flask --app flask_app run --debug
"""

from flask import Flask
from orders import FOLDER, Placed

import perdure

app = Flask(__name__)
client = perdure.connect(FOLDER)


@app.post("/orders/<order>")
def place(order: str) -> tuple[dict[str, str], int]:
    """Accept an order; answer once it is on disk."""
    return {"id": client.publish(Placed(order), id=f"order-{order}"), "said": "thank you"}, 202


@app.get("/orders/<order>")
def show(order: str) -> dict[str, str]:
    """Tell where an order is."""
    return {"status": client.state(f"order-{order}").status}
