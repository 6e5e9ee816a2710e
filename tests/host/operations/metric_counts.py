"""The numbers of `Metrics` that a test can count for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import perdure

__all__ = ["counts"]

COUNTED = ("ready", "delayed", "held", "in_flight", "dead_letters", "published", "completed", "failed", "retried")


def counts(metrics: perdure.Metrics) -> dict[str, int]:
    """Return them by name."""
    return {name: getattr(metrics, name) for name in COUNTED}
