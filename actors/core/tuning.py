"""The part of the host's options that actors read: `Tuning`. What each option means to a user is in `perdure.Options`."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Tuning"]


class Tuning(Protocol):
    """The options that actors read (see `perdure.Options`)."""

    @property
    def durability(self) -> str:
        """`fsync` or `os`."""

    @property
    def publish_timeout_s(self) -> float:
        """How long a publish waits for room in the backlog."""

    @property
    def snapshot_events(self) -> int:
        """Events between two snapshots."""

    @property
    def restart_budget(self) -> int:
        """Deaths allowed to one actor within `restart_window_s`."""

    @property
    def restart_window_s(self) -> float:
        """The time in which deaths are counted."""

    @property
    def prefetch_ms(self) -> float:
        """Milliseconds of work that may be prefetched for a worker."""

    @property
    def prefetch_max(self) -> int:
        """Deliveries that may be prefetched for a worker."""

    @property
    def resident_payload_bytes(self) -> int:
        """Bytes of waiting payloads kept in memory."""

    @property
    def batch_max(self) -> int:
        """Messages in one atomic publish or completion."""

    @property
    def batch_bytes_max(self) -> int:
        """Bytes of their payloads."""

    @property
    def finished_max(self) -> int:
        """Ended messages whose ids are remembered."""

    @property
    def log_failures(self) -> str | None:
        """The level at which failed attempts are logged."""

    @property
    def log_dead_letters(self) -> str | None:
        """The level at which dead letters are logged."""
