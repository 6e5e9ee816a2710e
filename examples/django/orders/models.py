"""The table of orders."""

from django.db import models


class Order(models.Model):
    """An order of a customer."""

    name = models.CharField(max_length=100, unique=True)
    items = models.IntegerField()
    paid = models.BooleanField(default=False)
    invoices = models.IntegerField(default=0)

    def __str__(self) -> str:
        """Return its name."""
        return self.name
