"""The handlers; perdure's app imports this module of each app. They use the ORM as a view does."""

from django.db.models import F

import perdure
from perdure.integrations.django import handlers

from .messages import InvoiceDue, Placed
from .models import Order


@handlers.handler(Placed, retries=5)
def charge(placed: Placed, ctx: perdure.Context) -> None:
    """Charge an order; it may run twice where a process dies, and then changes nothing more."""
    if Order.objects.filter(name=placed.order, paid=False).update(paid=True):
        ctx.publish(InvoiceDue(placed.order), id=f"invoice-{placed.order}")


@handlers.handler(InvoiceDue)
def send_invoice(due: InvoiceDue) -> None:
    """Send an invoice; the counter stands for it."""
    Order.objects.filter(name=due.order).update(invoices=F("invoices") + 1)
