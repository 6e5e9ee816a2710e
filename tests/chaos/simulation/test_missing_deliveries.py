"""A delivery that its member does not have, whatever became of it, is not left there: another process gets the message."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from perdure.events.vocabulary import LeaseExpired
from tests.chaos.simulation.test_simulated_member import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.member.die()
    shop.system.stop()


def test_a_message_that_its_member_does_not_have_is_handled_when_its_lease_has_run_out(shop: Shop) -> None:
    (pool,) = shop.member.runtime.pools.by_type.values()
    shop.publish()
    shop.executor.run_until(lambda: bool(pool.open))
    pool.inbox.drain(0)
    missing = {delivery.id for delivery in pool.open.values()}
    pool.open.clear()
    shop.check()
    expired = Counter(record.message_id for record in shop.system.audit.events(type=LeaseExpired))
    assert expired == Counter(missing), "each is asked for once"
