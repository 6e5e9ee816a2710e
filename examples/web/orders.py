"""What the web processes and the worker share: the folder of the queue, and the message."""

import os

import attrs

import perdure

FOLDER = os.environ.get("ORDERS_FOLDER", "orders-data")


@perdure.message(name="orders.Placed")
@attrs.frozen
class Placed:
    """An order of a customer."""

    order: str
