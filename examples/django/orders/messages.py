"""The messages of the shop."""

import attrs

import perdure


@perdure.message(name="orders.Placed")
@attrs.frozen
class Placed:
    """An order is in the database."""

    order: str


@perdure.message(name="orders.InvoiceDue")
@attrs.frozen
class InvoiceDue:
    """An order needs an invoice."""

    order: str
