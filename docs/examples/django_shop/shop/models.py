"""The orders."""

from django.db import models


class Order(models.Model):
    """An order, and how to find its mail."""

    email = models.EmailField()
    unique_id = models.CharField(max_length=64, blank=True)
    bounced = models.BooleanField(default=False)

    def __str__(self) -> str:
        """Return its number."""
        return f"order {self.pk}"
