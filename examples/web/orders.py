"""Name what the web processes and the worker share: the folder of the queue, and the message."""

import attrs

import perdure

FOLDER = "orders-data"


@perdure.message(name="orders.Placed")
@attrs.frozen
class Placed:
    """An order of a customer."""

    order: str
