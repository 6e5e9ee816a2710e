"""Publish from Flask, while its reloader starts the program anew at each change of a file.

perdure run worker:system & flask --app flask_app run --debug

Or run the handlers of this application as its worker: flask --app flask_app perdure
"""

from typing import Any

from charging import handlers
from flask import Flask
from orders import FOLDER, Placed

from perdure.integrations.flask import Perdure

queue = Perdure()
queue.handlers.include(handlers)


def create_app(client: Any = None) -> Flask:
    """Make the application; a test gives it a simulated system as its client."""
    app = Flask(__name__)
    app.config["PERDURE_FOLDER"] = FOLDER
    queue.init_app(app, client=client)

    @app.post("/orders/<order>")
    def place(order: str) -> tuple[dict[str, str], int]:
        """Accept an order; answer once it is on disk."""
        return {"id": queue.publish(Placed(order), id=f"order-{order}"), "said": "thank you"}, 202

    @app.get("/orders/<order>")
    def show(order: str) -> dict[str, str]:
        """Show how far an order is."""
        return {"status": queue.client.state(f"order-{order}").status}

    return app
