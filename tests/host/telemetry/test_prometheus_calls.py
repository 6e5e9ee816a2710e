"""How long publishes take, as a Prometheus histogram: each kind of call, refusals, and labels with a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

import perdure
from perdure.telemetry import PrometheusMiddleware
from perdure.telemetry.prometheus_calls import DURATIONS, OTHER
from tests.host.telemetry.messages import Letter, Placed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def counted(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """Return how many calls were timed, by operation, type and error."""
    return {
        (
            sample.labels["messaging_operation_name"],
            sample.labels["messaging_destination_name"],
            sample.labels["error_type"],
        ): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == f"{DURATIONS}_count"
    }


def test_each_call_that_publishes_is_timed_in_the_process_that_makes_it(folder: Path) -> None:
    registry, of_client = CollectorRegistry(), CollectorRegistry()
    system = perdure.System(folder, shared=True, middleware=[PrometheusMiddleware(registry=registry)])

    async def publish() -> None:
        await system.apublish(Placed(1))
        await (await system.asubmit(Placed(2)))

    with system, perdure.connect(folder, middleware=[PrometheusMiddleware(registry=of_client)]) as client:
        system.publish(Placed(3))
        system.submit(Placed(4)).result(60)
        system.publish_many([Placed(5), Placed(6)])
        system.publish_many([Placed(7), Letter(1)])
        asyncio.run(publish())
        with pytest.raises(perdure.InvalidMessage):
            system.publish(Placed(8), ttl=-1.0)
        assert system.checkout(Letter) is not None
        client.publish(Letter(2))
    assert counted(registry) == {
        ("publish", "shop.Placed", ""): 5,
        ("publish", OTHER, ""): 1,
        ("publish", "shop.Placed", "perdure.InvalidMessage"): 1,
        ("receive", "shop.Letter", ""): 1,
    }
    assert counted(of_client) == {("publish", "shop.Letter", ""): 1}


def test_a_submit_that_is_refused_later_is_timed_with_its_error() -> None:
    registry = CollectorRegistry()
    system = perdure.System(store=perdure.MemoryStore(), middleware=[PrometheusMiddleware(registry=registry)])
    with system:
        system.publish(Placed(1), key="a")
        with pytest.raises(perdure.DuplicateKey):
            system.submit(Placed(2), key="a", dedup="reject").result(60)
    assert counted(registry)["publish", "shop.Placed", "perdure.DuplicateKey"] == 1


def test_types_and_errors_beyond_their_bounds_share_a_label() -> None:
    registry = CollectorRegistry()
    part = PrometheusMiddleware(registry=registry, types_max=1, labels={"queue": "orders"})

    def failing(number: int) -> Callable[[], Any]:
        def fail() -> Any:
            raise type(f"Error{number}", (Exception,), {})

        return fail

    for message in (Placed(1), Letter(1), Letter(2)):
        assert part.send([message], lambda: "id") == "id"
    for number in range(30):
        with pytest.raises(Exception, match=r"^$"):
            part.send([Placed(1)], failing(number))
    found = counted(registry)
    assert found["publish", "shop.Placed", ""] == 1
    assert found["publish", OTHER, ""] == 2
    errors = {error: n for (_, _, error), n in found.items() if error}
    assert len(errors) == 21
    assert errors["_OTHER"] == 10
    assert {sample.labels["queue"] for family in registry.collect() for sample in family.samples} == {"orders"}
