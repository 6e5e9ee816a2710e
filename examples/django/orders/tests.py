"""Tests of the shop on a simulated system: `manage.py test`. No worker, no folder, no waiting."""

from django.db import connections
from django.test import TestCase, TransactionTestCase

import perdure
from perdure.chaos import SimulatedSystem
from perdure.integrations.django import handlers, use

from .messages import InvoiceDue, Placed
from .models import Order


def simulated() -> SimulatedSystem:
    """Return a system with the handlers of all apps."""
    system = SimulatedSystem()
    system.include(handlers)
    return system


class PlacingTests(TestCase):
    """What happens when an order is placed."""

    def test_an_order_is_charged_once_its_transaction_has_committed(self) -> None:
        """The view publishes on commit; the handlers then run in the test's own transaction."""
        with simulated() as system, use(system):
            with self.captureOnCommitCallbacks(execute=True):
                answer = self.client.post("/orders/A/2")
                system.assert_published(Placed, times=0)
            assert (answer.status_code, answer.json()) == (202, {"id": "order-A"})
            system.run_until_idle()
            system.assert_published(Placed, Placed("A"), times=1)
            system.assert_published(InvoiceDue, {"order": "A"}, times=1)
        order = Order.objects.get(name="A")
        assert (order.paid, order.invoices) == (True, 1)

    def test_an_order_that_is_rolled_back_is_not_published(self) -> None:
        """Neither the row nor the message is there."""
        with simulated() as system, use(system):
            with self.captureOnCommitCallbacks(execute=True):
                assert self.client.post("/orders/B/0").status_code == 400
            system.assert_published(Placed, times=0)
        assert not Order.objects.exists()


class OutboxTests(TransactionTestCase):
    """What is written into the outbox."""

    def test_a_message_of_the_outbox_is_published_after_the_commit(self) -> None:
        """The relay reads the table that `manage.py migrate` made."""
        Order.objects.create(name="C", items=1)
        with simulated() as system:
            assert self.client.post("/invoices/C").status_code == 202
            relay = perdure.OutboxRelay(system, lambda: connections.create_connection("default"))
            assert relay.relay_once() == 1
            system.run_until_idle()
        assert Order.objects.get(name="C").invoices == 1
