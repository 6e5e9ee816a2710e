"""The console of a queue in PostgreSQL: it acts through the owner, and its partitions are on one page, each a click away."""

from __future__ import annotations

import contextlib
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.cli.run.console_command import _front
from perdure.console import asgi
from perdure.console.whole_console import whole_queue
from perdure.store import partition_owners
from tests.host.console.conftest import Patient, csrf_of, until
from tests.host.console.several.conftest import consoles_of
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

    from perdure.console.console import Console

pytestmark = [pytest.mark.long(seconds=8), pytest.mark.xdist_group("postgres")]
PARTITIONS = 2


@perdure.message(name="shop.Parcel")
@attrs.frozen
class Parcel:
    name: str


@pytest.fixture(scope="module")
def cluster() -> Iterator[perdure.Cluster]:
    made = perdure.Cluster(shared_server().dsn, name=new_queue().replace(" ", "_"), partitions=PARTITIONS)

    @made.handler(Parcel)
    def ship(_parcel: Parcel) -> None:
        pass

    with made:
        made.publish_many([Parcel(f"P{i}") for i in range(8)], keys=[str(i) for i in range(8)])
        made.drain(timeout=PATIENCE_S)
        yield made


@pytest.fixture
def consoles(cluster: perdure.Cluster) -> Iterator[dict[int, Console]]:
    with consoles_of(cluster) as made:
        yield made
        for console in made.values():
            console.close()


@pytest.fixture
def browser(consoles: dict[int, Console]) -> TestClient:
    app = whole_queue(consoles, hosts=("127.0.0.1",), principal=lambda _: "ann")
    return Patient(app, base_url="http://127.0.0.1", follow_redirects=False)


def test_all_partitions_are_on_one_page_with_owner_epoch_and_lag(browser: TestClient, cluster: perdure.Cluster) -> None:
    assert browser.get("/compare?a=1h").headers["location"] == "/partition/0/compare?a=1h"
    assert browser.get("/partition/999/").status_code == browser.get("/no-such-page").status_code == 404
    until(lambda: "Partitions</h2>" in browser.get("/partition/1/processes").text)  # once the database has answered
    html = browser.get("/partition/1/processes").text
    owners = {info.number: info for info in cluster.partitions()}
    assert len(owners) == PARTITIONS
    for number, info in owners.items():
        assert info.owner
        row = html.split(f'href="/partition/{number}/processes"')[-1].split("</tr>", 1)[0]
        assert info.owner in row
        assert f'<td class="n">{info.epoch}</td>' in row
    assert re.search(r'href="/partition/1/processes" aria-current="page"', html)
    assert 'href="/partition/0/processes"' in html
    assert 'href="/partition/1/messages"' in html  # links stay within the partition


def test_first_page_sums_all_partitions_with_a_row_for_each(browser: TestClient, cluster: perdure.Cluster) -> None:
    waiting = [Parcel(f"later {i}") for i in range(20)]
    cluster.publish_many(waiting, keys=[f"later {i}" for i in range(20)], delay=3_000.0)
    until(lambda: sum(cluster.partition(number).admin.metrics().delayed for number in range(PARTITIONS)) == len(waiting))
    parts = [cluster.partition(number).admin.metrics() for number in range(PARTITIONS)]
    assert all(part.delayed for part in parts)
    until(lambda: "Delayed, held</dt><dd>20, 0" in browser.get("/").text)  # once all are read up to now
    html = browser.get("/").text
    until(lambda: "not known" not in browser.get("/").text)  # once the database has said who owns them
    owners = {info.number: info.owner for info in cluster.partitions()}
    for number, part in enumerate(parts):
        row = html.split(f'<th scope="row"><a href="/partition/{number}/">')[1].split("</tr>", 1)[0]
        assert f'data-label="delayed">{part.delayed}<' in row
        assert f'data-label="completed">{part.completed}<' in row
        assert owners[number] in browser.get("/").text
    kinds = html.split("<h2>Types</h2>")[1]
    published = sum(part.published for part in parts)
    assert f'data-label="published">{published}<' in kinds.split(">shop.Parcel<")[1].split("</tr>", 1)[0]
    assert re.search(r'href="/" aria-current="page">all', html)
    assert 'href="/types">all' in browser.get("/partition/1/types").text  # and back from each partition


def test_sums_are_shown_of_a_past_moment_by_time_and_not_by_an_events_number(browser: TestClient, cluster: perdure.Cluster) -> None:
    until(lambda: "of the history is read" not in browser.get("/").text)
    before = browser.get("/?at=365d").text
    assert "As it was" not in before
    assert re.search(r"<dt>Ready</dt><dd>0</dd>", before)
    assert '<th scope="col">Owner</th>' not in before.split("<h2>Types</h2>")[0]
    refused = browser.get("/?at=7")
    assert refused.status_code == 400
    assert "another moment in each partition" in refused.text
    assert browser.get("/?at=tomorrow").status_code == 400


def test_a_partition_that_cannot_be_read_is_told_and_is_not_in_the_sums(
    browser: TestClient, consoles: dict[int, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: "Sums are of" not in browser.get("/").text)

    def broken(*_: object, **__: object) -> None:
        raise perdure.StoreUnavailable("the database does not answer")

    monkeypatch.setattr(consoles[1], "view", broken)
    html = browser.get("/").text
    assert "Sums are of 1 of 2 partitions: the others cannot be read" in html
    assert "the database does not answer" in html


def test_console_acts_through_the_owner_of_each_partition(
    browser: TestClient, consoles: dict[int, Console], cluster: perdure.Cluster
) -> None:
    assert all(console.front is not None for console in consoles.values())
    page = browser.get("/partition/1/types/shop.Parcel").text
    form = {"csrf": csrf_of(page), "type": "shop.Parcel", "reason": "a look", "back": "/types/shop.Parcel"}
    answer = browser.post("/partition/1/act/pause", data=form, headers={"origin": "http://127.0.0.1"})
    assert answer.headers["location"] == "/partition/1/types/shop.Parcel"
    assert "deliveries are paused" in browser.get("/partition/1/types/shop.Parcel").text
    paused = [cluster.partition(number).admin.handlers()["shop.Parcel"].paused for number in range(PARTITIONS)]
    assert paused == [False, True]
    (act,) = perdure.Audit(cluster.address_of(1)).acts()
    assert (act.action, act.reason) == ("pause", "a look")
    browser.post("/partition/1/act/resume", data=form, headers={"origin": "http://127.0.0.1"})


def test_cluster_is_mounted_with_all_its_partitions_and_acts_go_to_the_owner_of_each(cluster: perdure.Cluster) -> None:
    def allowed(principal: str, action: str, _type: str) -> bool:
        return principal == "ann" and action in {"look", "pause", "resume"}

    other = perdure.Cluster(shared_server().dsn, name=cluster.name, partitions=PARTITIONS, ownership="never")
    for mounted in (cluster, other):  # whether the partitions run in this process or not
        app = asgi(mounted, authorize=allowed, principal=lambda _: "ann", hosts=["127.0.0.1"], secret="the same in each worker")  # noqa: S106 - of a test
        with Patient(app, base_url="http://127.0.0.1", follow_redirects=False) as browser:
            assert "only to look at" in browser.get("/partition/1/types").text or mounted is cluster  # it does not run yet
            with mounted if mounted is other else contextlib.nullcontext():
                page = browser.get("/partition/1/types/shop.Parcel").text
                assert "only to look at" not in page
                form = {"csrf": csrf_of(page), "type": "shop.Parcel", "reason": "a look", "back": "/types/shop.Parcel"}
                for act, is_paused in (("pause", True), ("resume", False)):
                    answer = browser.post(f"/partition/1/act/{act}", data=form, headers={"origin": "http://127.0.0.1"})
                    assert answer.status_code == 303
                    assert "Not done" not in browser.get("/partition/1/types/shop.Parcel").text
                    assert cluster.partition(1).admin.handlers()["shop.Parcel"].paused is is_paused
                    assert not cluster.partition(0).admin.handlers()["shop.Parcel"].paused
                assert (
                    browser.post("/partition/1/act/snapshot", data=form, headers={"origin": "http://127.0.0.1"}).status_code == 403
                )


def test_queue_without_an_owner_is_only_looked_at() -> None:
    name = new_queue().replace(" ", "_")
    address = f"{shared_server().dsn}#{name}"
    with perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name)) as system, ExitStack() as stack:
        system.publish(Parcel("P1"))
        client = _front(0, address, stack)
        assert client is not None
        assert client.admin.metrics().published == 1
        (one,) = partition_owners(address)
        assert one.owner
        assert one.epoch == 1
    with ExitStack() as stack:
        assert _front(0, address, stack) is None
        assert [one.owner for one in partition_owners(address)] == [""]
