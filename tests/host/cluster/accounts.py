"""Publishers that remember what was acknowledged, and the balance of that against what the logs and the handlers say."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import attrs

import perdure
from tests.postgres_server import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterable


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


class Publishers:
    """Publish without pause, each message under an id of its own; what is acknowledged is remembered, and what was tried."""

    def __init__(self, cluster: perdure.Cluster | perdure.Client, threads: int = 2) -> None:
        self.acknowledged: set[str] = set()
        self.tried: set[str] = set()
        self._cluster = cluster
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._publish, args=(number,)) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def _publish(self, number: int) -> None:
        n = 0
        while not self._over.is_set():
            ident = f"{number}-{(n := n + 1)}"
            key = ident if n % 2 else None
            ids = [ident] if n % 5 else [f"{ident}-{i}" for i in range(4)]
            self.tried.update(ids)
            try:
                if n % 5:
                    self._cluster.publish(Order(ident), id=ident, key=key)
                else:
                    self._cluster.publish_many([Order(each) for each in ids], ids=ids, keys=ids if key else None)
            except (perdure.PublishTimeout, perdure.StoreUnavailable):
                continue
            self.acknowledged.update(ids)
            self._over.wait(0.005)

    def end(self) -> set[str]:
        """Stop publishing; return what was acknowledged."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return self.acknowledged


def check_accounts(cluster: perdure.Cluster, publishers: Publishers, handled: Iterable[str]) -> None:
    """Check that what was acknowledged was published once, handled and completed once, and that all logs are whole."""
    published = Counter(record.message_id for _, record in cluster.audit.events(type="Published"))
    completed = Counter(record.message_id for _, record in cluster.audit.events(type="Completed"))
    assert publishers.acknowledged <= set(published) <= publishers.tried
    assert set(published.values()) == {1}
    assert completed == published
    assert set(handled) == set(published)
    assert all(found.ok for found in cluster.audit.verify().values())
