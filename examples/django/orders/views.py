"""Views that publish: once the transaction has committed, and in the transaction itself."""

from django.db import transaction
from django.http import HttpRequest, JsonResponse

from perdure.integrations.django import outbox, publish

from .messages import InvoiceDue, Placed
from .models import Order


def place(_request: HttpRequest, name: str, items: int) -> JsonResponse:
    """Keep an order, and publish it if that commits."""
    with transaction.atomic():
        Order.objects.create(name=name, items=items)
        ident = publish(Placed(name), id=f"order-{name}")
        if not items:
            transaction.set_rollback(True)  # an order of nothing: nothing is kept, and nothing is published
    return JsonResponse({"id": ident}, status=202 if items else 400)


def invoice(_request: HttpRequest, name: str) -> JsonResponse:
    """Ask for another invoice. The message is a row of the same transaction: both are there, or neither."""
    with transaction.atomic():
        Order.objects.select_for_update().get(name=name)
        ident = outbox().publish(InvoiceDue(name))
    return JsonResponse({"id": ident}, status=202)
