"""`QueueWatch`: look after look at all partitions of a queue in a database, and which process owns each. For `perdure status`.

One log is `perdure.operations.watch`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.cli.existing_folder import existing_folder
from perdure.connecting import connect
from perdure.events.errors import PerdureError, StoreUnavailable
from perdure.operations.watch import Watch
from perdure.store import canonical_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.cluster.cluster_client import ClusterClient
    from perdure.cluster.partition_info import PartitionInfo
    from perdure.operations.watch import Status

__all__ = ["QueueWatch"]


class QueueWatch:
    """Looks at each partition. For one thread.

    Args:
        address: of the queue.
        addresses: of its partitions.
        progress: as `Watch`.
    """

    def __init__(self, address: str, addresses: dict[int, str], progress: Callable[[int], None] | None = None) -> None:
        self._queue = address
        self.address = canonical_address(address)
        self._addresses = addresses
        self._watches: dict[int, Watch] = {}
        self.looks: dict[int, Status | None] = dict.fromkeys(addresses)
        """What each partition showed last; None for one that no process has owned yet."""
        self._client: ClusterClient | None = None
        self._find(progress)

    def _find(self, progress: Callable[[int], None] | None) -> None:
        for number, address in self._addresses.items():
            if number not in self._watches:
                try:
                    self._watches[number] = Watch(existing_folder(address), progress)
                except StoreUnavailable:
                    continue

    def look(self, now_us: int) -> None:
        """Read what was written since.

        Raises:
            StoreCorrupt, StoreUnavailable: as `Watch.look`.
        """
        if len(self._watches) < len(self._addresses):
            self._find(None)
        for number, watch in self._watches.items():
            self.looks[number] = watch.look(now_us)

    def owners(self) -> dict[int, PartitionInfo]:
        """Return which process owns each partition; empty where the database cannot be asked."""
        try:
            if self._client is None:
                self._client = connect(self._queue)  # type: ignore[assignment] # it has several partitions
            client = self._client
            return {info.number: info for info in client.partitions()} if client is not None else {}
        except PerdureError:
            return {}

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close(0.0)
