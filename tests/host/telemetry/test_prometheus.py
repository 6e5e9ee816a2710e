"""What Prometheus reads: each metric under its name, by type with a bound, ages and latencies, and nothing where nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import perdure
from perdure.chaos import SimulatedSystem
from perdure.telemetry import PrometheusCollector
from perdure.telemetry.prometheus import METRICS, OTHER
from tests.host.telemetry.messages import Letter, Placed, Receipt

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.telemetry.prometheus import Collected


class Scraped:
    """What one scrape of a system gives, read as Prometheus reads it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        families = list(text_string_to_metric_families(generate_latest(registry).decode()))
        self.samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}
        self.names = {family.name + ("_total" if family.type == "counter" else "") for family in families}

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, tuple(sorted(labels.items()))]

    def labels(self, label: str) -> set[str]:
        return {value for _, labels in self.samples for name, value in labels if name == label}


def scraped(system: Collected) -> Scraped:
    registry = CollectorRegistry()
    PrometheusCollector(system, registry=registry)
    return Scraped(registry)


@pytest.fixture
def shop() -> SimulatedSystem:
    """Completes what it can: the first order fails once, the third is refused for good; nothing handles receipts."""
    system = SimulatedSystem(seed=1)

    @system.handler(Placed, retries=1, backoff=perdure.Fixed(1.0))
    def charge(order: Placed, ctx: perdure.Context) -> None:
        if order.number == 3:
            raise perdure.Reject("no such customer")
        if order.number == 1 and ctx.attempt == 1:
            raise OSError("down")

    return system


def test_each_metric_is_there_under_its_name_and_no_other(shop: SimulatedSystem) -> None:
    with shop as system:
        system.publish_many([Placed(1), Placed(2), Placed(3), Receipt(1)])
        system.advance(90.0)
        found = scraped(system)
    assert found.names == METRICS.keys()
    assert found.value("perdure_up") == 1
    assert found.value("messaging_client_sent_messages_total", messaging_destination_name="shop.Placed") == 3
    assert found.value("messaging_client_consumed_messages_total", messaging_destination_name="shop.Placed") == 4
    assert found.value("perdure_completed_total", type="shop.Placed") == 2
    assert found.value("perdure_failed_total", type="shop.Placed") == 2
    assert found.value("perdure_dead_lettered_total", type="shop.Placed") == found.value("perdure_dead_letters") == 1
    assert found.value("perdure_messages", type="shop.Receipt", place="ready") == 1
    assert found.value("perdure_oldest_ready_seconds", type="shop.Receipt") == pytest.approx(90.0, abs=5.0)
    assert found.value("perdure_handler_workers", type="shop.Placed") == 1
    assert found.value("perdure_commit_seconds_count") >= found.value("perdure_commit_seconds_bucket", le="0.0001") > 0
    assert found.value("perdure_sync_seconds_count") > 0
    assert found.value("perdure_backlog_max") == system.options.backlog_max


def test_labels_are_bounded_and_a_type_keeps_its_own(shop: SimulatedSystem) -> None:
    registry = CollectorRegistry()
    PrometheusCollector(shop, registry=registry, types_max=2, labels={"queue": "orders"})
    with shop as system:
        system.publish_many([Placed(2), Receipt(1)])
        system.run_until_idle()
        before = Scraped(registry)
        system.publish_many([Letter(1), Letter(2), Receipt(2)])
        system.handler(Letter)(lambda letter: None)
        system.run_until_idle()
        after = Scraped(registry)
    assert before.labels("type") == {"shop.Placed", "shop.Receipt"}
    assert after.labels("type") == {"shop.Placed", "shop.Receipt", OTHER}
    assert after.value("perdure_completed_total", type=OTHER, queue="orders") == 2
    assert after.value("perdure_messages", type="shop.Receipt", place="ready", queue="orders") == 2
    assert after.value("perdure_handler_workers", type=OTHER, queue="orders") == 1
    assert {name for _, labels in after.samples for name, _ in labels} == {
        "type", "place", "quantile", "le", "queue", "messaging_destination_name",
    }  # fmt: skip


def test_a_system_that_does_not_run_is_down_and_breaks_no_scrape(shop: SimulatedSystem) -> None:
    assert scraped(shop).samples == {("perdure_up", ()): 0.0}


def test_a_member_or_a_client_collects_what_the_owner_counts(folder: Path) -> None:
    with perdure.System(folder, shared=True) as owner, perdure.connect(folder) as client:
        client.publish_many([Receipt(1), Receipt(2)])
        of_owner, of_client = scraped(owner), scraped(client)
    assert of_client.names == of_owner.names == METRICS.keys()
    assert of_client.value("perdure_messages", type="shop.Receipt", place="ready") == 2
    assert of_client.value("perdure_sync_seconds_count") >= 1


def test_the_age_of_the_oldest_ready_message_is_among_the_metrics() -> None:
    system = SimulatedSystem(seed=1)
    with system:
        system.publish(Receipt(1), delay=60.0)
        system.publish(Placed(1), id="mine")
        system.advance(30.0)
        system.publish(Letter(1), priority=5)
        system.advance(10.0)
        system.publish(Letter(2), priority=9)
        assert system.admin.metrics().oldest_ready_s == {"shop.Letter": pytest.approx(10.0, abs=1.0)}
        system.advance(35.0)
        ages = system.admin.metrics().oldest_ready_s
    assert ages == {"shop.Letter": pytest.approx(45.0, abs=1.0), "shop.Receipt": pytest.approx(15.0, abs=1.0)}
